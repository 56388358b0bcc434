from collections.abc import Callable
from importlib.util import find_spec
from unittest.mock import Mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array

from mdctl.parallel.attention import Attention, splash_tpu
from mdctl.parallel.attention.blockwise import blockwise_attention
from mdctl.parallel.attention.cudnn import TRANSFORMER_ENGINE, cudnn_attention
from mdctl.parallel.attention.dot_product import dot_product_attention
from mdctl.parallel.attention.flash_tpu import LANES, Tiles, fit_tile, flash_attention
from mdctl.parallel.attention.kernels import KERNELS, by_length, cudnn, cudnn_flash_te, flash, splash, unmasked
from mdctl.parallel.attention.splash_tpu import splash_attention
from mdctl.spec.errors import SpecError
from mdctl.spec.refused import ATTENTION
from tests.parity.tolerances import LAYER

TILES = Tiles(queries=256, keys=256, computed=128, resident=256, fast_memory=2**24)
SPLASH = splash_tpu.Tiles(queries=256, keys=256, computed=128)
FLASH = {
    "blockwise": blockwise_attention,
    "flash": flash_attention(TILES, interpret=True),
    "splash": splash_attention(SPLASH, interpret=True),
}


def draw(queries: int, keys: int, dtype: str = "float32") -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(queries + keys)
    shapes = [(2, length, 2, 32) for length in (queries, keys, keys, queries)]
    q, k, v, d_out = (jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)
    return q, k, v, d_out


def results(attention: Attention, q: Array, k: Array, v: Array, d_out: Array, mask: Array | None) -> tuple[Array, ...]:
    """Return the output and the gradients of q, k and v."""

    def run(q: Array, k: Array, v: Array, d_out: Array) -> tuple[Array, ...]:
        out, vjp = jax.vjp(lambda q, k, v: attention(q, k, v, mask), q, k, v)
        return out, *vjp(d_out)

    compiled: tuple[Array, ...] = jax.jit(run)(q, k, v, d_out)
    return compiled


def assert_close(got: tuple[Array, ...], expected: tuple[Array, ...], tolerance: float) -> None:
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        a32, b32 = np.asarray(a, np.float32), np.asarray(b, np.float32)
        assert np.abs(a32 - b32).max() <= tolerance * np.abs(b32).max()


@pytest.mark.parametrize("masked", [False, True], ids=["all-keys", "masked"])
def test_dot_product_equals_that_of_jax_in_both_directions(masked: bool) -> None:
    def attend(q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        hidden = None if mask is None else mask[:, None, None]
        return jax.nn.dot_product_attention(q, k, v, mask=hidden, implementation="xla")

    inputs = draw(40, 77)
    mask = jnp.asarray(np.random.default_rng(0).random((2, 77)) < 0.5).at[:, 0].set(True) if masked else None
    assert_close(results(dot_product_attention, *inputs, mask), results(attend, *inputs, mask), LAYER)


@pytest.mark.parametrize("kernel", FLASH.values(), ids=FLASH)
@pytest.mark.parametrize("masked", [False, True], ids=["all-keys", "masked"])
@pytest.mark.parametrize(("queries", "keys"), [(256, 512), (300, 700), (5, 3), (130, 2)], ids=str)
def test_flash_equals_dot_product_in_both_directions(kernel: Attention, masked: bool, queries: int, keys: int) -> None:
    inputs = draw(queries, keys)
    mask = jnp.asarray(np.random.default_rng(0).random((2, keys)) < 0.5).at[:, 0].set(True) if masked else None
    assert_close(results(kernel, *inputs, mask), results(dot_product_attention, *inputs, mask), LAYER)


@pytest.mark.parametrize("kernel", FLASH.values(), ids=FLASH)
def test_flash_skips_blocks_without_a_key(kernel: Attention) -> None:
    inputs = draw(64, 1100)
    mask = jnp.broadcast_to(jnp.arange(1100) >= 1050, (2, 1100))
    assert_close(results(kernel, *inputs, mask), results(dot_product_attention, *inputs, mask), LAYER)


@pytest.mark.parametrize("kernel", FLASH.values(), ids=FLASH)
def test_flash_keeps_bfloat16(kernel: Attention) -> None:
    inputs = draw(200, 300, "bfloat16")
    assert_close(results(kernel, *inputs, None), results(dot_product_attention, *inputs, None), 2e-2)


def test_softmax_is_in_float32() -> None:
    q, k, v, _ = draw(4, 700, "bfloat16")
    exact = dot_product_attention(*(x.astype(jnp.float32) for x in (q, k, v)))
    assert_close((dot_product_attention(q, k, v).astype(jnp.float32),), (exact,), 2e-2)


def test_padding_that_is_not_masked_takes_part_with_score_zero() -> None:
    q, k, v, _ = draw(64, 200)
    fill = ((0, 0), (0, 56), (0, 0), (0, 0))
    careless = [
        flash_attention(TILES, mask_padding=False, interpret=True),
        splash_attention(SPLASH, mask_padding=False, interpret=True),
    ]
    for kernel in careless:
        assert_close((kernel(q, k, v),), (dot_product_attention(q, jnp.pad(k, fill), jnp.pad(v, fill)),), LAYER)


@given(length=st.integers(1, 100_000), largest=st.sampled_from([512, 1024, 2048, 3072]))
def test_tiles_waste_little(length: int, largest: int) -> None:
    tile = fit_tile(length, largest)
    assert tile % LANES == 0
    assert tile <= largest
    assert length + -length % tile <= 1.34 * (length + -length % LANES)


def test_long_sequences_get_large_tiles() -> None:
    assert fit_tile(18_900, 2048) == 1920
    assert fit_tile(75_600, 2048) == 2048


def test_kernels_are_those_that_a_spec_accepts() -> None:
    assert tuple(KERNELS) == ATTENTION


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_flash_is_blockwise_off_tpu(platform: str) -> None:
    assert flash(_device(platform, "any"), mask_padding=True) is blockwise_attention


def test_flash_on_an_unknown_tpu_is_refused_by_its_kind() -> None:
    with pytest.raises(SpecError, match=r"TPU v9.*'splash'"):
        flash(_device("tpu", "TPU v9"), mask_padding=True)


def test_splash_is_refused_off_tpu() -> None:
    with pytest.raises(SpecError, match=r"TPU only.*H100.*'flash'"):
        splash(_device("gpu", "NVIDIA H100"), mask_padding=True)


@pytest.mark.parametrize("kernel", [cudnn, cudnn_flash_te])
def test_cudnn_is_refused_off_gpu(kernel: Callable[..., Attention]) -> None:
    with pytest.raises(SpecError, match=r"GPU only.*v5.*'flash'"):
        kernel(_device("tpu", "TPU v5"), mask_padding=True)


def test_without_transformer_engine_cudnn_is_called_by_jax(caplog: pytest.LogCaptureFixture) -> None:
    assert find_spec(TRANSFORMER_ENGINE) is None, "where it is, hold it to the others"
    assert cudnn_flash_te(_device("gpu", "NVIDIA H100"), mask_padding=True) is cudnn_attention
    assert "Transformer Engine is not installed" in caplog.text


def test_short_sequences_take_the_other_kernel() -> None:
    called: list[str] = []
    attend = by_length(64, long=_spy(called, "long"), short=_spy(called, "short"))
    for queries in (63, 64):
        attend(*draw(queries, 200)[:3])
    assert called == ["short", "long"]


def test_unmasked_attention_sees_every_key() -> None:
    q, k, v, _ = draw(8, 16)
    hidden = jnp.zeros((2, 16), bool).at[:, 0].set(True)
    assert_close((unmasked(dot_product_attention)(q, k, v, hidden),), (dot_product_attention(q, k, v),), 0)


def _spy(called: list[str], name: str) -> Attention:
    def attend(q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        called.append(name)
        return q

    return attend


def _device(platform: str, kind: str) -> jax.Device:
    device: jax.Device = Mock(spec=jax.Device, platform=platform, device_kind=kind)
    return device
