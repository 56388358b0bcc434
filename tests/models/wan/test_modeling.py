import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from einops import rearrange
from flax import nnx

from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer, timestep_embedding, unpatch
from mdctl.models.wan.rotary import halve, rotary_dims, rotary_positions, rotate
from mdctl.parallel.execution import Execution
from mdctl.spec.shapes import LatentShape, PatchGrid, Strides

CONFIG = dataclasses.replace(WanConfig.tiny(), num_layers=2)


@cache
def model(dtype: str = "float32") -> WanTransformer:
    return WanTransformer(CONFIG, execution=Execution(dtype=jnp.dtype(dtype)), rngs=nnx.Rngs(0))


@cache
def kernel(*path: str) -> np.ndarray:
    tree = nnx.to_pure_dict(nnx.state(model()))
    for name in path:
        tree = tree[name]
    return np.asarray(tree["kernel"])


def inputs() -> tuple[jax.Array, jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(0), 2)
    text = jax.random.normal(keys[1], (2, 6, CONFIG.text_dim))
    return jax.random.normal(keys[0], (2, 2, 4, 6, CONFIG.in_channels)), jnp.array([20.0, 900.0]), text


def test_a_new_model_predicts_nothing() -> None:
    prediction = nnx.jit(model())(*inputs())
    assert prediction.shape == inputs()[0].shape
    assert (prediction == 0).all()


def test_layers_start_as_published() -> None:
    query = kernel("blocks", "attn1", "to_q")
    limit = (6 / (2 * CONFIG.width)) ** 0.5
    assert 0.99 * limit < np.abs(query).max() <= limit
    assert not np.array_equal(query[0], query[1])
    assert kernel("condition_embedder", "text_embedder", "linear_1").std() == pytest.approx(0.02, rel=0.05)
    fan = 4 * CONFIG.in_channels + CONFIG.width
    assert np.abs(kernel("patch_embedding")).max() == pytest.approx((6 / fan) ** 0.5, rel=0.01)


def test_half_precision_is_within_the_network() -> None:
    def run(dtype: str) -> jax.Array:
        graphdef, params = nnx.split(model(dtype))
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
        params["proj_out"]["kernel"] = params["condition_embedder"]["time_proj"]["kernel"][:, :64]
        prediction: jax.Array = jax.jit(lambda params, args: nnx.merge(graphdef, params)(*args))(params, inputs())
        return prediction

    whole, half = run("float32"), run("bfloat16")
    assert half.dtype == whole.dtype == jnp.float32
    error = jnp.abs(half - whole).max() / jnp.abs(whole).max()
    assert 1e-4 < error < 5e-2


@pytest.mark.parametrize("head_dim", [8, 16, 32, 64, 128])
def test_every_plane_belongs_to_one_axis(head_dim: int) -> None:
    dims = rotary_dims(head_dim)
    assert sum(dims) == head_dim
    assert not any(dim % 2 for dim in dims)
    assert dims[1] == dims[2] <= dims[0]


def test_scores_depend_on_distances_alone() -> None:
    grid, heads, width = PatchGrid(3, 4, 5), 2, 16
    q, k = (jax.random.normal(key, (1, 1, heads * width)) for key in jax.random.split(jax.random.key(0)))
    positions = rotary_positions(grid, width, grid.tokens)
    turned = [rotate(jnp.repeat(x, grid.tokens, axis=1), positions, heads) for x in (q, k)]
    q_THWNK, k_THWNK = (x.reshape(*grid, heads, width) for x in turned)
    here = jnp.einsum("nk,nk->n", q_THWNK[0, 1, 0], k_THWNK[1, 3, 2])
    there = jnp.einsum("nk,nk->n", q_THWNK[1, 0, 2], k_THWNK[2, 2, 4])
    elsewhere = jnp.einsum("nk,nk->n", q_THWNK[1, 0, 2], k_THWNK[2, 2, 3])
    np.testing.assert_allclose(here, there, rtol=1e-5)
    assert np.abs(here - elsewhere).min() > 1e-3


def test_halves_hold_the_published_pairs() -> None:
    np.testing.assert_array_equal(halve(jnp.arange(8.0), 2), [0, 2, 1, 3, 4, 6, 5, 7])


def test_padding_has_no_position() -> None:
    positions = rotary_positions(PatchGrid(1, 2, 2), 16, 7)
    assert positions.cos.shape == (7, 8)
    assert not positions.cos[4:].any()
    assert not positions.sin[4:].any()


def test_unpatching_undoes_patching() -> None:
    video = jax.random.normal(jax.random.key(0), (2, 4, 6, 8, 3))
    cfg = WanConfig(patch_size=Strides(2, 3, 4))
    grid = LatentShape(*video.shape[1:]).patches(cfg.patch_size)
    patches = rearrange(video, "b (t dt) (h dh) (w dw) c -> b (t h w) (dt dh dw c)", dt=2, dh=3, dw=4)
    np.testing.assert_array_equal(unpatch(patches, grid, cfg), video)


def test_time_is_embedded_as_cosines_then_sines() -> None:
    time = np.array([0.0, 1.0, 250.0])
    angles = time[:, None] * 10_000.0 ** -(np.arange(4) / 4)
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)
    np.testing.assert_allclose(timestep_embedding(jnp.asarray(time, jnp.float32), 8), expected, atol=2e-5)
