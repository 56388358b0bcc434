"""What cuDNN is asked for: how keys are hidden from it, and that JAX lowers it for a GPU that is not here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo as jax_cudnn
from jaxtyping import Array

from mdctl.parallel.attention.cudnn import cudnn_attention
from mdctl.parallel.attention.dot_product import dot_product_attention
from tests.gpu.test_attention import SHAPES
from tests.parallel.attention.test_kernels import assert_close, draw, results
from tests.parity.tolerances import LAYER

MASKED = pytest.mark.parametrize("masked", [False, True], ids=["all-keys", "masked"])


@MASKED
@pytest.mark.parametrize("keys", [64, 77])
def test_keys_are_hidden_within_the_product(monkeypatch: pytest.MonkeyPatch, keys: int, masked: bool) -> None:
    attend = jax.nn.dot_product_attention

    def by_xla(q: Array, k: Array, v: Array, *, scale: float, implementation: str) -> Array:
        assert implementation == "cudnn"
        return attend(q, k, v, scale=scale, implementation="xla")

    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    inputs = draw(40, keys)
    mask = jnp.asarray(np.random.default_rng(0).random((2, keys)) < 0.5).at[:, 0].set(True) if masked else None
    assert_close(results(cudnn_attention, *inputs, mask), results(dot_product_attention, *inputs, mask), LAYER)


@MASKED
@pytest.mark.parametrize("shape", SHAPES)
def test_cudnn_takes_every_shape_in_both_directions(monkeypatch: pytest.MonkeyPatch, shape: str, masked: bool) -> None:
    """What JAX asks of the GPU before it calls cuDNN is answered for a Hopper."""
    monkeypatch.setattr(jax_cudnn, "check_cudnn_version", lambda: 91900)
    monkeypatch.setattr(jax_cudnn, "check_compute_capability", lambda _: True)
    monkeypatch.setattr(jax_cudnn, "is_cuda_compute_capability_equal", lambda capability: capability == "9.0")
    queries, keys, heads, width = SHAPES[shape]
    q, k = (jax.ShapeDtypeStruct((2, length, heads, width), jnp.bfloat16) for length in (queries, keys))
    mask = jax.ShapeDtypeStruct((2, keys), jnp.bool_) if masked else None

    def run(q: Array, k: Array, v: Array, d_out: Array, mask: Array | None) -> tuple[Array, ...]:
        out, vjp = jax.vjp(lambda q, k, v: cudnn_attention(q, k, v, mask), q, k, v)
        return out, *vjp(d_out)

    lowered = jax.jit(run).trace(q, k, k, q, mask).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count("__cudnn$fmha") == 2
