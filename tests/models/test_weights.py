"""The table engine, on a tree that has everything a table can say."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from safetensors.numpy import load_file, save_file

from mdctl.models import weights
from mdctl.models.weights import CONV_3D, LINEAR, Rule
from mdctl.spec.errors import WeightsError

TABLE = (
    Rule("stem.weight", "stem.kernel", CONV_3D),
    Rule("layers.{i}.attn.{to}.weight", "layers.attn.{to}.kernel", LINEAR),
    Rule("layers.{i}.{norm}.gamma", "layers.{norm}.scale", "c 1 1 -> c"),
    Rule("up.{n}.bias", "up.{n}.bias"),
    Rule(("embed.weight", "shared.weight"), "embed.table"),
    Rule("layers.{i}.gain", "layers.gain"),
    Rule("scale", "scale"),
)


def tree(seed: int = 0) -> Any:
    """Three layers and what stands around them; no two values alike."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape, np.float32))

    return {
        "stem": {"kernel": draw(1, 2, 2, 3, 16)},
        "layers": {
            "attn": {"q": {"kernel": draw(3, 8, 40)}, "v": {"kernel": draw(3, 8, 24)}},
            "norm": {"scale": draw(3, 16)},
            "gain": draw(3),
        },
        "up": [{"bias": draw(8)}, {"bias": draw(4)}],
        "embed": {"table": draw(32, 8)},
        "scale": draw(),
    }


def abstract(dtype: Any = jnp.float32) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), tree())


def same(ours: Any, theirs: Any) -> bool:
    pairs = zip(jax.tree.leaves(jax.device_get(ours)), jax.tree.leaves(jax.device_get(theirs)), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights.save(TABLE, tree(), tmp_path / "model", config={"size": 3})
    return tmp_path / "model"


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "diffusion_pytorch_model.safetensors")


def rewrite(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")


def test_published_tensors_have_the_published_layout(folder: Path) -> None:
    ours, theirs = tree(), tensors_of(folder)
    assert theirs["stem.weight"].shape == (16, 3, 1, 2, 2)
    np.testing.assert_array_equal(theirs["stem.weight"][5, 2, 0, 1, 0], ours["stem"]["kernel"][0, 1, 0, 2, 5])
    np.testing.assert_array_equal(theirs["layers.2.attn.v.weight"], ours["layers"]["attn"]["v"]["kernel"][2].T)
    np.testing.assert_array_equal(theirs["layers.1.norm.gamma"][:, 0, 0], ours["layers"]["norm"]["scale"][1])
    np.testing.assert_array_equal(theirs["up.1.bias"], ours["up"][1]["bias"])
    np.testing.assert_array_equal(theirs["embed.weight"], ours["embed"]["table"])
    assert "shared.weight" not in theirs


@pytest.mark.parametrize("max_file_bytes", [2**30, 1500, 1])
def test_what_is_saved_is_loaded(tmp_path: Path, max_file_bytes: int) -> None:
    weights.save(TABLE, tree(), tmp_path / "model", config={"size": 3}, max_file_bytes=max_file_bytes)
    assert (tmp_path / "model" / "diffusion_pytorch_model.safetensors.index.json").exists() == (max_file_bytes < 2**30)
    assert same(weights.load(TABLE, tmp_path / "model", abstract()), tree())
    assert weights.read_config(tmp_path / "model") == {"size": 3}


def test_blocks_smaller_than_a_tensor_make_no_difference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "BLOCK_BYTES", 100)
    monkeypatch.setattr(weights, "PERMUTED_ROWS", 3)
    assert same(weights.load(TABLE, folder, abstract()), tree())


def mesh() -> Mesh:
    return jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)


def sharding(leaf: Any) -> NamedSharding:
    """Cut every dim that can be, by whichever axis is free."""
    axes, parts = ["a", "b"], []
    for size in leaf.shape:
        parts.append(axes.pop() if axes and size % 4 == 0 else None)
    return NamedSharding(mesh(), PartitionSpec(*parts))


def test_each_device_gets_its_own_part(folder: Path) -> None:
    loaded = weights.load(TABLE, folder, abstract(), jax.tree.map(sharding, abstract()))
    assert same(loaded, tree())
    kernel = loaded["layers"]["attn"]["q"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(3, 4, 10)}


def test_sharded_parameters_are_saved_whole(folder: Path, tmp_path: Path) -> None:
    placed = jax.device_put(tree(), jax.tree.map(sharding, abstract()))
    weights.save(TABLE, placed, tmp_path / "again", config={})
    saved, before = tensors_of(tmp_path / "again"), tensors_of(folder)
    assert saved.keys() == before.keys()
    assert all((saved[name] == before[name]).all() for name in saved)


def test_loaded_parameters_can_be_donated(folder: Path) -> None:
    everywhere = jax.tree.map(lambda _: NamedSharding(mesh(), PartitionSpec()), abstract())
    loaded = weights.load(TABLE, folder, abstract(), everywhere)
    doubled = jax.jit(lambda params: jax.tree.map(lambda leaf: leaf * 2, params), donate_argnums=0)(loaded)
    for ours, theirs in zip(jax.tree.leaves(doubled), jax.tree.leaves(jax.device_get(tree())), strict=True):
        assert all(np.array_equal(shard.data, 2 * theirs) for shard in ours.addressable_shards)


def test_values_are_cast_to_the_dtype_asked_for(folder: Path, tmp_path: Path) -> None:
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tree())
    assert same(weights.load(TABLE, folder, abstract(), dtype=jnp.bfloat16), half)
    assert same(weights.load(TABLE, folder, abstract(jnp.bfloat16)), half)
    weights.save(TABLE, half, tmp_path / "half", config={})
    widened = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), half)
    assert same(weights.load(TABLE, tmp_path / "half", abstract()), widened)


def test_any_alternative_name_will_do(folder: Path) -> None:
    tensors = tensors_of(folder)
    tensors["shared.weight"] = tensors["embed.weight"]
    rewrite(folder, tensors)
    assert same(weights.load(TABLE, folder, abstract()), tree())
    del tensors["embed.weight"]
    rewrite(folder, tensors)
    assert same(weights.load(TABLE, folder, abstract()), tree())
    assert {"embed.weight", "shared.weight"} <= weights.published_shapes(TABLE, abstract()).keys()


def test_one_error_lists_every_problem(folder: Path) -> None:
    tensors = tensors_of(folder)
    for layer in range(3):
        tensors[f"layers.{layer}.extra"] = np.ones(2, np.float32)
        del tensors[f"layers.{layer}.attn.v.weight"]
    tensors["stem.weight"] = tensors["stem.weight"][:, :2]
    tensors["scale"] = np.array(3, np.int32)
    rewrite(folder, tensors)
    params = abstract() | {"head": {"bias": jax.ShapeDtypeStruct((4,), jnp.float32)}}
    with pytest.raises(WeightsError) as raised:
        weights.load(TABLE, folder, params)
    message = str(raised.value)
    assert str(folder) in message
    assert "missing: layers.0.attn.v.weight and 2 like it" in message
    assert "unknown to this model: layers.0.extra and 2 like it" in message
    assert "no rule fills our: head.bias" in message
    assert "not a plain float: scale" in message
    assert "of shape (16, 2, 1, 2, 2) where (16, 3, 1, 2, 2) belongs: stem.weight" in message


def test_a_model_of_fewer_layers_is_refused(folder: Path) -> None:
    params = jax.tree.map(lambda leaf: leaf, abstract())
    params["layers"] = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape[1:]), leaf.dtype), params["layers"]
    )
    with pytest.raises(WeightsError, match=r"unknown to this model: layers\.2\.gain"):
        weights.load(TABLE, folder, params)
