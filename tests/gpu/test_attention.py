"""cuDNN's attention, and ours in blocks, on the GPU that is here: beside the whole matrix of scores in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from mdctl.parallel.attention import Attention
from mdctl.parallel.attention.blockwise import blockwise_attention
from mdctl.parallel.attention.cudnn import cudnn_attention
from mdctl.parallel.attention.dot_product import dot_product_attention

pytestmark = pytest.mark.gpu

KERNELS = {"cudnn": cudnn_attention, "flash": blockwise_attention}
SHAPES = {
    "sd15-high": (4096, 4096, 8, 40),
    "sd15-low": (64, 64, 8, 160),
    "sd15-text": (4096, 77, 8, 40),
    "sdxl": (4096, 4096, 10, 64),
    "sdxl-text": (1024, 77, 20, 64),
    "wan": (3600, 3600, 4, 128),
    "wan-text": (3600, 512, 4, 128),
}
"""Queries, keys, heads and their width."""
APART = 2e-2
"""Of the largest value: what bfloat16 inputs and an output of eight bits leave."""


def draw(queries: int, keys: int, heads: int, width: int) -> list[Array]:
    rng = np.random.default_rng(queries + keys)
    return [
        jnp.asarray(rng.normal(size=(2, length, heads, width)), jnp.bfloat16)
        for length in (queries, keys, keys, queries)
    ]


def results(attention: Attention, inputs: list[Array], mask: Array | None) -> list[np.ndarray]:
    """Return the output and the gradients of q, k and v, as float32."""

    def run(q: Array, k: Array, v: Array, d_out: Array) -> list[Array]:
        out, vjp = jax.vjp(lambda q, k, v: attention(q, k, v, mask), q, k, v)
        return [out, *vjp(d_out)]

    return [np.asarray(array, np.float32) for array in jax.jit(run)(*inputs)]


@pytest.mark.parametrize("masked", [False, True], ids=["all-keys", "masked"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_equal_scores_in_float32_in_both_directions(kernel: str, shape: str, masked: bool) -> None:
    inputs = draw(*SHAPES[shape])
    keys = SHAPES[shape][1]
    mask = jnp.arange(keys)[None] < jnp.array([keys, keys // 3])[:, None] if masked else None
    with jax.default_matmul_precision("highest"):
        expected = results(dot_product_attention, [array.astype(jnp.float32) for array in inputs], mask)
    for got, exact in zip(results(KERNELS[kernel], inputs, mask), expected, strict=True):
        assert np.isfinite(got).all()
        assert np.abs(got - exact).max() <= APART * np.abs(exact).max()


@pytest.mark.parametrize("masked", [False, True], ids=["all-keys", "masked"])
def test_cudnn_is_what_runs(masked: bool) -> None:
    q, k, v, _ = draw(256, 256, 4, 64)
    mask = jnp.ones((2, 256), bool) if masked else None
    compiled = jax.jit(cudnn_attention).lower(q, k, v, mask).compile()
    assert "__cudnn$fmha" in (compiled.as_text() or "")
