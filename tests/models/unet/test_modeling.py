import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.layers import group_norm, sinusoids
from mdctl.models.unet.modeling import Added, UNet
from mdctl.parallel.attention import Attention
from mdctl.parallel.attention.blockwise import blockwise_attention
from mdctl.parallel.attention.dot_product import dot_product_attention
from mdctl.parallel.execution import Execution

CONFIG = dataclasses.replace(UNetConfig.tiny(), transformer_layers_per_block=(1, 2))


@cache
def model(dtype: str = "float32") -> UNet:
    return UNet(CONFIG, execution=Execution(dtype=jnp.dtype(dtype)), rngs=nnx.Rngs(0))


def inputs() -> tuple[jax.Array, jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(0), 2)
    text = jax.random.normal(keys[1], (2, 6, CONFIG.cross_attention_dim))
    return jax.random.normal(keys[0], (2, 8, 6, CONFIG.in_channels)), jnp.array([20.0, 900.0]), text


def test_a_new_model_predicts_nothing() -> None:
    prediction = nnx.jit(model())(*inputs())
    assert prediction.shape == inputs()[0].shape
    assert (prediction == 0).all()


def test_layers_start_as_the_authors_began() -> None:
    params = nnx.to_pure_dict(nnx.state(model()))
    mid, query = (
        params["mid_block"],
        params["mid_block"]["attentions"][0]["transformer_blocks"]["attn1"]["to_q"]["kernel"],
    )
    assert query.shape == (2, 64, 64)
    assert not np.array_equal(query[0], query[1])
    limit = 64**-0.5
    assert 0.99 * limit < np.abs(query).max() <= limit
    conv = mid["resnets"][0]["conv1"]["kernel"]
    assert 0.99 * limit / 3 < np.abs(conv).max() <= limit / 3
    for nothing in (mid["resnets"][0]["conv2"], mid["attentions"][0]["proj_out"], params["conv_out"]):
        assert not nothing["kernel"].any()


def test_half_precision_is_within_the_network() -> None:
    rng = np.random.default_rng(0)
    abstract = nnx.state(model())
    params = jax.tree.map(lambda leaf: jnp.asarray(0.1 * rng.normal(size=leaf.shape), jnp.float32), abstract)

    def run(dtype: str) -> jax.Array:
        graphdef = nnx.graphdef(model(dtype))
        prediction: jax.Array = jax.jit(lambda params, args: nnx.merge(graphdef, params)(*args))(params, inputs())
        return prediction

    whole, half = run("float32"), run("bfloat16")
    assert half.dtype == whole.dtype == jnp.float32
    error = jnp.abs(half - whole).max() / jnp.abs(whole).max()
    assert 1e-4 < error < 5e-2


def test_what_is_made_of_the_time_is_whole() -> None:
    time = inputs()[1]
    np.testing.assert_array_equal(model("bfloat16").embed(time, None), model().embed(time, None))


def test_what_was_left_must_all_be_added_to() -> None:
    residuals = [jnp.zeros(size) for size in ((2, 8, 6, 32), (2, 8, 6, 32), (2, 4, 3, 32))]
    with pytest.raises(ValueError, match="shorter"):
        nnx.eval_shape(lambda: model()(*inputs(), down_residuals=residuals))


@pytest.mark.parametrize("kernel", [dot_product_attention, blockwise_attention])
def test_scores_of_half_precision_are_whole_as_upcast_attention_asks(kernel: Attention) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(of + rng.normal(size=(1, 16, 2, 40)) / 4, jnp.bfloat16) for of in (8.0, 8.0, 0.0))

    def attend(rounded: Any) -> np.ndarray:
        scores = np.einsum("blnk,bsnk->bnls", *(np.asarray(x, np.float64) for x in (q, k))) * 40**-0.5
        shares = np.exp((scores := rounded(scores)) - scores.max(axis=-1, keepdims=True))
        shares = shares / shares.sum(axis=-1, keepdims=True)
        out: np.ndarray = np.einsum("bnls,bsnk->blnk", shares, np.asarray(v, np.float64))
        return out

    def halved(scores: np.ndarray) -> np.ndarray:
        return np.asarray(jnp.asarray(scores, jnp.bfloat16), np.float64)

    exact = attend(lambda scores: scores)
    assert np.abs(np.asarray(kernel(q, k, v), np.float64) - exact).max() < 2e-2
    assert np.abs(attend(halved) - exact).max() > 2e-1


def test_time_is_embedded_as_cosines_then_sines() -> None:
    time = np.array([0.0, 1.0, 250.0])
    angles = time[:, None] * 10_000.0 ** -(np.arange(4) / 4)
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)
    np.testing.assert_allclose(sinusoids(jnp.asarray(time, jnp.float32), 8), expected, atol=2e-5)


def test_groups_have_mean_0_and_variance_1() -> None:
    x = 3.0 + 2.0 * jax.random.normal(jax.random.key(0), (2, 5, 7, 12), jnp.bfloat16).astype(jnp.float32)
    groups = np.asarray(group_norm(x, 4, 0.0), np.float64).reshape(2, 35, 4, 3)
    np.testing.assert_allclose(groups.mean(axis=(1, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(groups.var(axis=(1, 3)), 1, atol=1e-5)


@pytest.mark.parametrize(("cfg", "left"), [(UNetConfig.sd15(), 12), (UNetConfig.sdxl(), 9)], ids=["sd1.5", "sdxl"])
def test_an_official_model_leaves_as_much_as_its_control_nets_add_to(cfg: UNetConfig, left: int) -> None:
    side = cfg.sample_size
    shapes = {"x": (1, side, side, 4), "text": (1, 77, cfg.cross_attention_dim)}
    x, text = (jnp.broadcast_to(jnp.float32(0), shape) for shape in shapes.values())
    added = Added(jnp.zeros((1, 1280)), jnp.zeros((1, 6))) if cfg.pooled_dim else None

    def run() -> tuple[jax.Array, list[jax.Array]]:
        unet = UNet(cfg, execution=Execution.plain(jnp.bfloat16), rngs=nnx.Rngs(0))
        temb, flow, made = unet.embed(jnp.zeros(1), added), unet.conv_in(x), [unet.conv_in(x)]
        for down in unet.down_blocks:
            flow, more = down(flow, temb, text.astype(jnp.bfloat16))
            made += more
        return unet(x, jnp.zeros(1), text, added, down_residuals=made, mid_residual=flow), made

    prediction, made = nnx.eval_shape(run)
    assert prediction.shape == x.shape
    assert prediction.dtype == jnp.float32
    assert (len(made), {skip.dtype for skip in made}) == (left, {jnp.dtype("bfloat16")})
