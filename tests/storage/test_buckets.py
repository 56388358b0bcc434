"""What `gs://` does that a folder does not: the emulator is real, and other hosts write to it behind our back."""

import json

import numpy as np
import pytest
from etils import epath

from mdctl.data.files import write_whole
from mdctl.spec.errors import OutputError, WeightsError
from mdctl.storage.checkpoints import Checkpoints, load_item, newest_whole, set_aside_damaged
from mdctl.storage.lines import RemoteLines, open_lines, read_lines
from mdctl.storage.output import prepare_output
from mdctl.storage.repository import local_repository
from mdctl.storage.seal import damage, write_seal
from tests.buckets import blob, names_in
from tests.storage.test_checkpoints import abstract, along_rows, assert_same, over_both, trees, whole


def put(location, text):
    """Write an object as another host would: not through the file system of this process."""
    blob(location).upload_from_string(text)


def text_of(location):
    return blob(location).download_as_text()


# the output directory


def test_an_output_directory_is_tried_and_left_empty(bucket):
    assert str(prepare_output(f"{bucket}/runs/one")) == f"{bucket}/runs/one"
    assert names_in(bucket) == []


def test_a_bucket_that_is_not_there_is_one_sentence(buckets):
    with pytest.raises(OutputError, match=r"gs://nobodys-bucket/run cannot be written: .*; give it write access"):
        prepare_output("gs://nobodys-bucket/run")


def test_what_another_host_writes_is_seen_although_the_folder_was_listed_before(bucket):
    folder = epath.Path(f"{bucket}/samples")
    put(f"{folder}/0.json", "{}")
    assert [path.name for path in folder.iterdir()] == ["0.json"]
    put(f"{folder}/1.json", '{"seed": 1}')
    assert (folder / "1.json").exists()
    assert json.loads((folder / "1.json").read_text()) == {"seed": 1}
    assert sorted(path.name for path in folder.iterdir()) == ["0.json", "1.json"]
    blob(f"{folder}/0.json").delete()
    assert not (folder / "0.json").exists()


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(bucket):
    for content in (b"first", b"second"):
        write_whole(f"{bucket}/samples/a.mp4", content)
        assert blob(f"{bucket}/samples/a.mp4").download_as_bytes() == content
        assert names_in(bucket) == ["samples/a.mp4"]


def test_a_file_for_a_bucket_that_is_not_there_is_the_users_to_mend(buckets):
    with pytest.raises(OutputError, match=r"gs://nobodys-bucket/a.mp4 \(5 bytes\) cannot be written: "):
        write_whole("gs://nobodys-bucket/a.mp4", b"12345")


# lines and seals


def test_lines_are_there_from_the_flush_on(bucket):
    lines = open_lines(epath.Path(f"{bucket}/metrics.jsonl"), lambda record: True)
    assert isinstance(lines, RemoteLines)
    lines.write({"step": 1})
    assert text_of(f"{bucket}/metrics.jsonl") == ""
    lines.flush()
    lines.write({"step": 2})
    lines.flush()
    assert text_of(f"{bucket}/metrics.jsonl") == '{"step": 1}\n{"step": 2}\n'


def test_lines_of_an_attempt_before_are_kept_up_to_where_this_one_begins(bucket):
    path = epath.Path(f"{bucket}/metrics.jsonl")
    put(str(path), "".join(json.dumps({"step": step}) + "\n" for step in range(1, 6)) + '{"step": 6, "lo')
    lines = open_lines(path, lambda record: record["step"] <= 4)
    lines.write({"step": 5, "loss": 0.5})
    lines.flush()
    assert list(read_lines(path)) == [*({"step": step} for step in range(1, 5)), {"step": 5, "loss": 0.5}]


def test_lines_for_a_bucket_that_is_not_there_are_the_users_to_mend(buckets):
    with pytest.raises(OutputError, match=r"gs://nobodys-bucket/metrics.jsonl cannot be written: .*; make room there"):
        open_lines(epath.Path("gs://nobodys-bucket/metrics.jsonl"), lambda record: True)


def test_a_seal_tells_what_went_missing_or_was_cut_short(bucket):
    folder = epath.Path(f"{bucket}/params")
    for name in ("manifest", "d/data"):
        put(f"{folder}/{name}", name)
    write_seal(folder)
    assert damage(folder) is None
    put(f"{folder}/d/data", "d/d")
    assert damage(folder) == "params/d/data has 3 bytes of 6"
    blob(f"{folder}/d/data").delete()
    assert damage(folder) == "params/d/data is missing"
    blob(f"{folder}/seal.json").delete()
    assert damage(folder) == "params has no seal"


# checkpoints


@pytest.fixture
def directory(bucket):
    return f"{bucket}/runs/one/checkpoints"


def save(directory, *steps, keep=2):
    checkpoints = Checkpoints(directory, keep=keep)
    for step in steps:
        checkpoints.save(step, trees(step, along_rows), {"step": step, "seed": 3})
    checkpoints.finish()
    return checkpoints


@pytest.fixture
def saved(directory):
    return save(directory, 10, 20, 30)


def steps_in(directory):
    return sorted({name.partition("/")[0] for name in names_in(directory)})


@pytest.mark.parametrize("layout", [along_rows, over_both, whole])
def test_a_state_comes_back_exactly_in_any_layout(saved, directory, layout):
    wanted = trees(30, layout)
    assert newest_whole(directory) == (30, [])
    assert_same(Checkpoints(directory, keep=2).restore(30, abstract(wanted)), wanted)
    assert saved.integers(30) == {"step": 30, "seed": 3}
    assert_same(load_item(directory, 30, "params", abstract(wanted["params"])), wanted["params"])


def test_only_the_newest_are_kept(saved, directory):
    assert steps_in(directory) == ["20", "30"]


def test_a_process_that_comes_later_goes_on(saved, directory):
    save(directory, 40)
    assert steps_in(directory) == ["30", "40"]
    assert newest_whole(directory) == (40, [])


def biggest(directory, step):
    return max(
        (f"{directory}/{step}/{name}" for name in names_in(f"{directory}/{step}") if "/d/" in name),
        key=lambda location: len(blob(location).download_as_bytes()),
    )


def test_a_truncated_checkpoint_is_passed_over_and_set_aside(saved, directory):
    victim = biggest(directory, 30)
    put(victim, "short")
    step, damages = newest_whole(directory)
    assert step == 20
    (said,) = damages
    assert victim.rpartition("/")[2] in said
    set_aside_damaged(directory, step)
    assert steps_in(directory) == ["20", "30.damaged-0"]
    assert newest_whole(directory) == (20, [])
    again = save(directory, 30)
    assert newest_whole(directory) == (30, [])
    assert_same(again.restore(30, abstract(trees(30, whole))), trees(30, whole))


def test_what_a_kill_left_uncommitted_is_no_checkpoint_and_its_step_is_saved_again(saved, directory):
    """On `gs://` a step is written under its own name, and counts from the object that says it is complete."""
    blob(f"{directory}/30/commit_success.txt").delete()
    assert newest_whole(directory) == (20, [])
    set_aside_damaged(directory, 20)
    again = save(directory, 30)
    assert newest_whole(directory) == (30, [])
    assert_same(again.restore(30, abstract(trees(30, whole))), trees(30, whole))


def test_a_directory_without_checkpoints_has_none(directory):
    assert newest_whole(directory) == (None, [])
    set_aside_damaged(directory, None)


# repositories of weights


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MDCTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "repositories"


@pytest.fixture
def weights(bucket):
    for name in ("model_index.json", "transformer/config.json", "vae/deep/diffusion.safetensors"):
        put(f"{bucket}/models/wan/{name}", f"content of {name}")
    return f"{bucket}/models/wan"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_repository_is_copied_once_and_read_here(weights, cache, monkeypatch):
    found = local_repository(weights)
    assert found.parent == cache
    assert contents(found) == {
        name: f"content of {name}"
        for name in ("model_index.json", "transformer/config.json", "vae/deep/diffusion.safetensors")
    }
    monkeypatch.setattr("mdctl.storage.repository._copy", lambda *_: pytest.fail("copied again"))
    assert local_repository(weights) == found


def test_a_repository_that_changes_is_copied_again(weights, cache):
    first = local_repository(weights)
    put(f"{weights}/model_index.json", "other content, of another size")
    second = local_repository(weights)
    assert second != first
    assert contents(second)["model_index.json"] == "other content, of another size"
    assert contents(first)["model_index.json"] == "content of model_index.json"


def test_a_copy_that_fails_leaves_nothing_and_says_what_to_do(weights, cache, monkeypatch):
    def cut(*_):
        raise OSError("the connection broke")

    with monkeypatch.context() as patch:
        patch.setattr("etils.epath.gpath.PosixGPath.copy", cut)
        with pytest.raises(WeightsError, match=r"cannot be fetched: the connection broke; check that it exists"):
            local_repository(weights)
    assert list(cache.iterdir()) == []
    assert contents(local_repository(weights))


@pytest.mark.parametrize("path", ["", "/nothing/here"])
def test_a_repository_that_is_not_there_is_one_sentence(bucket, cache, path):
    with pytest.raises(WeightsError, match=f"model.weights {bucket}{path}") as error:
        local_repository(f"{bucket}{path}")
    assert len(str(error.value).splitlines()) == 1


def test_a_bucket_of_weights_that_is_not_there_is_one_sentence(buckets, cache):
    with pytest.raises(WeightsError, match=r"gs://nobodys-bucket/wan cannot be fetched: .*; check that it exists"):
        local_repository("gs://nobodys-bucket/wan")


def test_arrays_are_what_was_saved_before_the_buffers_were_donated(directory):
    state = trees(1, along_rows)
    kept = np.asarray(state["params"]["block"]["kernel"])
    checkpoints = Checkpoints(directory, keep=1)
    checkpoints.save(1, state, {})
    state["params"]["block"]["kernel"].delete()
    checkpoints.finish()
    found = checkpoints.restore(1, abstract(trees(1, whole)))
    np.testing.assert_array_equal(np.asarray(found["params"]["block"]["kernel"]), kept)
