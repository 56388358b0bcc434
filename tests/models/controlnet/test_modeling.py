from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.controlnet.modeling import ControlNet, Residuals, combined, scaled
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import Added, UNet
from mdctl.parallel.execution import Execution

CONFIG = ControlNetConfig.tiny()
QUICKLY = {"xla_backend_optimization_level": "0"}
OFFICIAL = {
    "sd1.5": (ControlNetConfig.sd15(), UNetConfig.sd15()),
    "sd2.1": (ControlNetConfig.sd21(), UNetConfig.sd21()),
    "sdxl": (ControlNetConfig.sdxl(), UNetConfig.sdxl()),
}


def inputs() -> tuple[jax.Array, ...]:
    keys = jax.random.split(jax.random.key(0), 3)
    x, text = jax.random.normal(keys[0], (2, 4, 3, 4)), jax.random.normal(keys[1], (2, 6, 64))
    return x, jnp.array([20.0, 900.0]), text, jax.random.uniform(keys[2], (2, 32, 24, 3))


@cache
def parameters() -> Any:
    """Return parameters none of which is zero."""
    rng = np.random.default_rng(0)
    abstract = nnx.state(nnx.eval_shape(lambda: ControlNet(CONFIG, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    return jax.tree.map(lambda leaf: jnp.asarray(0.1 * rng.normal(size=leaf.shape), jnp.float32), abstract)


@cache
def program(dtype: str) -> Callable[..., Residuals]:
    """Compile the network for activations of a dtype."""
    execution = Execution(dtype=jnp.dtype(dtype))
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: ControlNet(CONFIG, execution=execution, rngs=nnx.Rngs(0))))
    lowered = jax.jit(lambda params, args: nnx.merge(graphdef, params)(*args)).lower(parameters(), inputs())
    compiled: Callable[..., Residuals] = lowered.compile(compiler_options=QUICKLY)
    return compiled


@cache
def say(dtype: str) -> Residuals:
    return program(dtype)(parameters(), inputs())


def test_half_precision_is_within_the_network() -> None:
    for whole, half in zip(jax.tree.leaves(say("float32")), jax.tree.leaves(say("bfloat16")), strict=True):
        assert (whole.dtype, half.dtype) == (jnp.dtype("float32"), jnp.dtype("bfloat16"))
        error = jnp.abs(half.astype(jnp.float32) - whole).max() / jnp.abs(whole).max()
        assert 1e-4 < error < 5e-2


def test_the_condition_changes_every_residual() -> None:
    *others, condition = inputs()
    other = program("float32")(parameters(), (*others, 1 - condition))
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(say("float32")), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_residuals_are_scaled_in_their_own_dtype(dtype: str) -> None:
    said = say(dtype)
    for scale in (0, 0.5, jnp.float32(0.5)):
        less = scaled(said, scale)
        assert isinstance(less, Residuals)
        assert len(less.down) == len(said.down)
        for before, after in zip(jax.tree.leaves(said), jax.tree.leaves(less), strict=True):
            assert after.dtype == dtype
            np.testing.assert_array_equal(after, before * jnp.asarray(scale, dtype))


def test_residuals_are_summed() -> None:
    said = say("float32")
    assert combined([said]) == said
    thrice = combined([said, scaled(said, 0.5), scaled(said, 1.5)])
    for once, sum_of_three in zip(jax.tree.leaves(said), jax.tree.leaves(thrice), strict=True):
        np.testing.assert_allclose(sum_of_three, 3 * once, rtol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (4, 3), (64, 48)])
def test_a_condition_of_another_size_is_a_mistake_in_the_program(size: tuple[int, int]) -> None:
    x, time, text, _ = inputs()
    with pytest.raises(AssertionError, match=r"\(32, 24\)"):
        nnx.eval_shape(
            lambda: ControlNet(CONFIG, execution=Execution.plain(), rngs=nnx.Rngs(0))(
                x, time, text, jnp.zeros((2, *size, 3))
            )
        )


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_unet_takes_what_its_control_net_says(name: str) -> None:
    cfg, unet_cfg = OFFICIAL[name]
    side = unet_cfg.sample_size
    shapes = {"x": (2, side, side, 4), "text": (2, 77, unet_cfg.cross_attention_dim)}
    x, text = (jnp.broadcast_to(jnp.float32(0), shape) for shape in shapes.values())
    condition, time = jnp.broadcast_to(jnp.float32(0), (2, 8 * side, 8 * side, 3)), jnp.zeros(2)
    added = Added(jnp.zeros((2, 1280)), jnp.zeros((2, 6))) if unet_cfg.pooled_dim else None
    execution = Execution.plain(jnp.bfloat16)

    def run() -> tuple[Residuals, jax.Array]:
        said = ControlNet(cfg, execution=execution, rngs=nnx.Rngs(0))(x, time, text, condition, added)
        unet = UNet(unet_cfg, execution=execution, rngs=nnx.Rngs(0))
        return said, unet(x, time, text, added, down_residuals=said.down, mid_residual=said.mid)

    said, prediction = nnx.eval_shape(run)
    assert prediction.shape == x.shape
    assert len(said.down) == {"sd1.5": 12, "sd2.1": 12, "sdxl": 9}[name]
    assert tuple(image.shape[-1] for image in said.down) == cfg.residual_dims
