"""Attention kernels by name, for the devices they run on."""

from collections.abc import Callable, Mapping

import jax
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import Attention
from mdctl.parallel.attention.blockwise import blockwise_attention
from mdctl.parallel.attention.cudnn import cudnn_attention, transformer_engine_attention
from mdctl.parallel.attention.dot_product import dot_product_attention
from mdctl.parallel.attention.flash_tpu import TILES, flash_attention
from mdctl.parallel.attention.splash_tpu import Tiles, splash_attention
from mdctl.spec.errors import SpecError


def dot_product(device: jax.Device, *, mask_padding: bool) -> Attention:
    """Return attention with the whole matrix of scores in memory."""
    del device, mask_padding
    return dot_product_attention


def flash(device: jax.Device, *, mask_padding: bool) -> Attention:
    """Return attention in memory linear in the sequence: our own kernels on TPU, blocks of keys elsewhere.

    Raises:
        SpecError: a TPU of a kind that has no tiles.
    """
    if device.platform != "tpu":
        return blockwise_attention
    if device.device_kind not in TILES:
        raise SpecError(
            f"attention.kernel 'flash' has no tiles for {device.device_kind}, only for {', '.join(TILES)}; "
            "use 'splash' or 'dot_product'"
        )
    return flash_attention(TILES[device.device_kind], mask_padding=mask_padding)


def splash(device: jax.Device, *, mask_padding: bool) -> Attention:
    """Return the attention kernel for TPU that comes with JAX.

    Raises:
        SpecError: there is no TPU.
    """
    if device.platform != "tpu":
        raise SpecError(f"attention.kernel 'splash' runs on TPU only, and this is {device.device_kind}; use 'flash'")
    return splash_attention(Tiles(), mask_padding=mask_padding)


def cudnn(device: jax.Device, *, mask_padding: bool) -> Attention:
    """Return cuDNN's attention as JAX calls it.

    Raises:
        SpecError: there is no GPU.
    """
    del mask_padding
    _check_gpu("cudnn", device)
    return cudnn_attention


def cudnn_flash_te(device: jax.Device, *, mask_padding: bool) -> Attention:
    """Return cuDNN's attention as Transformer Engine calls it; where that is not installed, as JAX does.

    Raises:
        SpecError: there is no GPU.
    """
    del mask_padding
    _check_gpu("cudnn_flash_te", device)
    return transformer_engine_attention()


def _check_gpu(name: str, device: jax.Device) -> None:
    if device.platform != "gpu":
        raise SpecError(f"attention.kernel {name!r} runs on GPU only, and this is {device.device_kind}; use 'flash'")


KERNELS: Mapping[str, Callable[..., Attention]] = {
    "dot_product": dot_product,
    "flash": flash,
    "splash": splash,
    "cudnn": cudnn,
    "cudnn_flash_te": cudnn_flash_te,
}
"""Name -> (device, mask_padding) -> kernel. What keys a kernel adds by itself it masks if `mask_padding`."""


def by_length(min_length: int, *, long: Attention, short: Attention) -> Attention:
    """Return `long` for at least `min_length` queries and `short` for fewer."""

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        return (long if q.shape[1] >= min_length else short)(q, k, v, mask)

    return attend


def unmasked(kernel: Attention) -> Attention:
    """Return `kernel` over all keys, those that only fill up a shard among them."""

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        del mask
        return kernel(q, k, v, None)

    return attend
