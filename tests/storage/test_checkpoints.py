import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdctl.spec.errors import OutputError, SpecError
from mdctl.storage.checkpoints import Checkpoints, load_item, newest_whole, set_aside_damaged


def mesh(*shape):
    return jax.make_mesh(shape, ("x", "y")[: len(shape)], axis_types=(AxisType.Auto,) * len(shape))


def trees(seed, sharding):
    keys = jax.random.split(jax.random.key(seed))

    def block(key):
        drawn = {"kernel": jax.random.normal(key, (8, 12)), "bias": jax.random.normal(key, (12,))}
        return jax.tree.map(lambda x: jax.device_put(x, sharding(x.ndim)), drawn)

    return {"params": {"block": block(keys[0])}, "opt_state": (block(keys[1]), {"count": jnp.int32(seed)})}


def along_rows(ndim):
    return NamedSharding(mesh(4), PartitionSpec("x") if ndim == 2 else PartitionSpec())


def over_both(ndim):
    return NamedSharding(mesh(2, 4), PartitionSpec("x", "y") if ndim == 2 else PartitionSpec("y"))


def whole(ndim):
    return NamedSharding(mesh(1), PartitionSpec())


def abstract(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "checkpoints")


@pytest.fixture
def saved(directory):
    checkpoints = Checkpoints(directory, keep=2)
    for step in (10, 20, 30):
        checkpoints.save(step, trees(step, along_rows), {"step": step, "seed": 3})
    checkpoints.finish()
    return checkpoints


@pytest.mark.parametrize("layout", [along_rows, over_both, whole])
def test_a_state_comes_back_exactly_in_any_layout(saved, layout):
    wanted = trees(30, layout)
    found = saved.restore(30, abstract(wanted))
    assert_same(found, wanted)
    for leaf, like in zip(jax.tree.leaves(found["params"]), jax.tree.leaves(wanted["params"]), strict=True):
        assert leaf.sharding == like.sharding


def test_integers_come_back(saved):
    assert saved.integers(20) == {"step": 20, "seed": 3}


def test_only_the_newest_are_kept(saved, directory):
    assert sorted(path.name for path in epath.Path(directory).iterdir()) == ["20", "30"]
    assert newest_whole(directory) == (30, [])


def test_what_is_saved_is_the_state_at_the_time_even_if_its_buffers_are_donated(directory):
    state = trees(1, along_rows)
    kept = jax.tree.map(np.asarray, jax.tree.map(jnp.copy, state))
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    checkpoints = Checkpoints(directory, keep=1)
    checkpoints.save(1, state, {})
    for _ in range(3):
        state = overwrite(state)
    checkpoints.finish()
    assert_same(checkpoints.restore(1, abstract(trees(1, along_rows))), kept)


def test_one_item_can_be_loaded_by_itself(saved, directory):
    wanted = trees(30, whole)["params"]
    assert_same(load_item(directory, 30, "params", abstract(wanted)), wanted)


def test_another_model_is_refused_with_both_shapes(saved, directory):
    other = trees(30, whole)
    other["params"]["block"]["kernel"] = jax.device_put(jnp.zeros((8, 13)), whole(2))
    with pytest.raises(SpecError, match=r"/30/params is of another (?s:.*) block.kernel: \(8, 12\), wanted \(8, 13\)"):
        saved.restore(30, abstract(other))
    with pytest.raises(SpecError, match=r"other.kernel: not there, wanted \(8, 13\)"):
        load_item(directory, 30, "params", abstract({"other": other["params"]["block"]}))


def test_an_average_that_was_not_kept_is_refused_by_name(saved, directory):
    with pytest.raises(SpecError, match=r"/30/ema does not exist: the job that wrote .*/30 kept no ema"):
        load_item(directory, 30, "ema", {})


def files_of(directory, step):
    return [path for pattern in ("*/d/*", "*/*/d/*") for path in epath.Path(f"{directory}/{step}").glob(pattern)]


def test_a_truncated_checkpoint_is_passed_over_and_says_which_file(saved, directory):
    victim = max(files_of(directory, 30), key=lambda path: path.stat().length)
    victim.write_bytes(victim.read_bytes()[:-1])
    step, damages = newest_whole(directory)
    assert step == 20
    assert len(damages) == 1
    assert victim.name in damages[0]


@pytest.mark.parametrize("victim", ["integers/metadata", "_CHECKPOINT_METADATA", "opt_state/manifest.ocdbt"])
def test_a_checkpoint_that_lacks_a_file_is_passed_over(saved, directory, victim):
    (epath.Path(directory) / "30" / victim).unlink()
    assert newest_whole(directory)[0] == 20


def test_a_checkpoint_that_lacks_a_whole_item_is_passed_over(saved, directory):
    (epath.Path(directory) / "30" / "opt_state").rmtree()
    assert newest_whole(directory)[0] == 20


def test_damaged_checkpoints_are_set_aside_and_their_step_saved_again(saved, directory):
    (epath.Path(directory) / "30" / "integers" / "metadata").write_text("{")
    step, _ = newest_whole(directory)
    set_aside_damaged(directory, step)
    assert sorted(path.name for path in epath.Path(directory).iterdir()) == ["20", "30.damaged-0"]
    again = Checkpoints(directory, keep=2)
    again.save(30, trees(31, along_rows), {"step": 30})
    again.finish()
    assert newest_whole(directory) == (30, [])
    assert_same(again.restore(30, abstract(trees(31, whole))), trees(31, whole))


def test_what_a_kill_left_behind_is_no_checkpoint_and_goes_away(saved, directory):
    left = epath.Path(directory) / "40.orbax-checkpoint-tmp"
    (left / "params").mkdir(parents=True)
    assert newest_whole(directory) == (30, [])
    again = Checkpoints(directory, keep=2)
    again.save(40, trees(40, along_rows), {"step": 40})
    again.finish()
    assert sorted(path.name for path in epath.Path(directory).iterdir()) == ["30", "40"]


def test_a_full_disk_is_the_users_to_mend(saved, monkeypatch):
    def full():
        raise ValueError("RESOURCE_EXHAUSTED: Error writing local file: No space left on device [os_error_code='28']")

    monkeypatch.setattr(saved._manager, "wait_until_finished", full)
    with pytest.raises(OutputError, match=r"no room for a checkpoint in .*/checkpoints; make room, keep fewer"):
        saved.finish()


def test_an_empty_or_missing_directory_has_no_checkpoint(tmp_path):
    assert newest_whole(str(tmp_path)) == (None, [])
    assert newest_whole(str(tmp_path / "nothing")) == (None, [])
