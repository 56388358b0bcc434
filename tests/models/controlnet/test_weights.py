from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.controlnet.modeling import ControlNet
from mdctl.models.controlnet.weights import from_unet, weight_table
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import UNet
from mdctl.models.weights import published_shapes
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import path_name
from mdctl.spec.errors import WeightsError
from tests.models.official_trees import official_tree

OFFICIAL = {
    "controlnet-sd15": ControlNetConfig.sd15(),
    "controlnet-sd21": ControlNetConfig.sd21(),
    "controlnet-sdxl": ControlNetConfig.sdxl(),
}
SIZES = {"controlnet-sd15": 361_279_120, "controlnet-sd21": 364_228_240, "controlnet-sdxl": 1_251_014_160}
PLAIN = Execution.plain()
QUICKLY = {"xla_backend_optimization_level": "0"}


def abstract(cfg: ControlNetConfig) -> Any:
    return nnx.state(nnx.eval_shape(lambda: ControlNet(cfg, execution=PLAIN, rngs=nnx.Rngs(0))))


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_tree_of_an_official_config_is_the_published_one(name: str) -> None:
    params, cfg = abstract(OFFICIAL[name]), OFFICIAL[name]
    assert published_shapes(weight_table(cfg), params) == official_tree(name).tensors
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == SIZES[name]


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_config_json_is_read_and_written_back(name: str) -> None:
    published = official_tree(name).config
    cfg = ControlNetConfig.from_published(published)
    # Which the UNet of 2.1 has, and the reference left out of its ControlNet: it changes no number.
    upcasting = OFFICIAL[name].unet.upcast_attention
    assert replace(cfg, unet=replace(cfg.unet, upcast_attention=upcasting)) == OFFICIAL[name]
    assert {key: value for key, value in cfg.to_published().items() if key != "_class_name"} == published


def unet_params(cfg: UNetConfig) -> Any:
    """Return a UNet's parameters with none that is zero or one."""
    rng = np.random.default_rng(0)
    state = nnx.state(nnx.eval_shape(lambda: UNet(cfg, execution=PLAIN, rngs=nnx.Rngs(0))))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), state)


def by_name(params: Any) -> dict[str, jax.Array]:
    return {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}


@cache
def new_params() -> Any:
    """Return those of a new ControlNet, the tiny one."""

    def create() -> Any:
        return nnx.state(ControlNet(ControlNetConfig.tiny(), execution=PLAIN, rngs=nnx.Rngs(1)))

    return jax.jit(create).lower().compile(compiler_options=QUICKLY)()


def test_what_starts_from_a_unet_has_its_parameters_and_new_ones_as_initialised() -> None:
    unet, new = unet_params(UNetConfig.tiny()), new_params()
    started, theirs, fresh = by_name(from_unet(unet, new)), by_name(unet), by_name(new)
    assert started.keys() == fresh.keys()
    shared = {name for name in started if name in theirs}
    assert {name.split(".")[0] for name in shared} == {"time_embedding", "conv_in", "down_blocks", "mid_block"}
    assert {name.split(".")[0] for name in started.keys() - shared} == {
        "controlnet_cond_embedding",
        "controlnet_down_blocks",
        "controlnet_mid_block",
    }
    for name, value in started.items():
        np.testing.assert_array_equal(value, (theirs if name in shared else fresh)[name])


def test_what_starts_from_a_unet_says_nothing_yet() -> None:
    model = nnx.eval_shape(lambda: ControlNet(ControlNetConfig.tiny(), execution=PLAIN, rngs=nnx.Rngs(0)))
    started, graphdef = from_unet(unet_params(UNetConfig.tiny()), new_params()), nnx.graphdef(model)
    args = (jnp.ones((1, 4, 4, 4)), jnp.ones(1), jnp.ones((1, 3, 64)), jnp.ones((1, 32, 32, 3)))
    said = jax.jit(lambda params: nnx.merge(graphdef, params)(*args))(started)
    assert not any(image.any() for image in jax.tree.leaves(said))


def test_a_start_takes_the_dtype_of_what_is_trained_and_shares_no_memory() -> None:
    unet = unet_params(UNetConfig.tiny())
    started = from_unet(unet, jax.tree.map(jnp.copy, new_params()))
    jax.tree.map(lambda leaf: leaf.delete(), started)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(unet))
    halved = from_unet(unet, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), new_params()))
    assert {leaf.dtype for leaf in jax.tree.leaves(halved)} == {jnp.dtype("bfloat16")}


def test_a_start_from_another_unet_names_what_does_not_fit() -> None:
    other = replace(UNetConfig.tiny(), cross_attention_dim=48)
    with pytest.raises(
        WeightsError, match=r"of shape \(1, 48, 64\) in the UNet, \(1, 64, 64\) in .*: down_blocks\..*to_k"
    ):
        from_unet(unet_params(other), new_params())
    shallow = replace(UNetConfig.tiny(), block_out_channels=(32,), cross_attention=(False,), num_heads=(2,))
    with pytest.raises(WeightsError, match=r"not in the UNet: down_blocks\.1\..* like it"):
        from_unet(unet_params(shallow), new_params())
