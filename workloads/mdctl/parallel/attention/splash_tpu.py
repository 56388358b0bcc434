"""Splash attention for TPU, as it comes with JAX: what our own kernels can be exchanged for.

Its backward pass is two kernels on one core of a chip. It takes sequences of whole tiles: what is missing is filled up
here, and keys that fill up are told apart by segment number, which is left out when nothing is hidden.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from einops import rearrange
from jax.experimental.pallas.ops.tpu import splash_attention as splash
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import ATTENTION_RESIDUALS, Attention
from mdctl.parallel.attention.flash_tpu import LANES, fit_tile
from mdctl.parallel.precision import kernel_precision


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The largest tiles: of queries and keys in fast memory, and of keys computed at once."""

    queries: int = 1024
    keys: int = 2048
    computed: int = 1024


def splash_attention(tiles: Tiles, *, mask_padding: bool = True, interpret: bool = False) -> Attention:
    """Return the kernel for the heads and queries of one device, and all keys.

    Without `mask_padding` the keys that fill up the last tile take part, with score 0. `interpret` runs on a CPU.
    """

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        length, num_keys = q.shape[1], k.shape[1]
        blocks = _block_sizes(tiles, length, num_keys)
        if mask is None and mask_padding and num_keys % blocks.block_kv:
            mask = jnp.ones(k.shape[:2], bool)
        scaled = (q.astype(jnp.float32) * jnp.float32(q.shape[-1] ** -0.5)).astype(q.dtype)
        q_BNLK = _fill(rearrange(scaled, "b l n k -> b n l k"), blocks.block_q, dim=2)
        k_BNSK, v_BNSK = (_fill(rearrange(x, "b s n k -> b n s k"), blocks.block_kv, dim=2) for x in (k, v))
        kernel = splash.make_splash_mha(
            splash.MultiHeadMask([splash.FullMask((q_BNLK.shape[2], k_BNSK.shape[2]))] * q.shape[2]),
            block_sizes=blocks,
            head_shards=1,
            q_seq_shards=1,
            residual_checkpoint_name=ATTENTION_RESIDUALS,
            interpret=interpret,
        )
        segments = None if mask is None else _segments(_fill(mask, blocks.block_kv, dim=1), q_BNLK.shape[2])
        with kernel_precision:
            out_BNLK: jax.Array = jax.vmap(kernel)(q_BNLK, k_BNSK, v_BNSK, segments)
        return rearrange(out_BNLK[:, :, :length], "b n l k -> b l n k")

    return attend


def _block_sizes(tiles: Tiles, length: int, num_keys: int) -> splash.BlockSizes:
    queries, keys = fit_tile(length, tiles.queries), fit_tile(num_keys, tiles.keys)
    computed = max(size for size in range(LANES, min(keys, tiles.computed) + 1, LANES) if keys % size == 0)
    return splash.BlockSizes(
        block_q=queries,
        block_kv=keys,
        block_kv_compute=computed,
        block_q_dkv=queries,
        block_kv_dkv=keys,
        block_kv_dkv_compute=computed,
        block_q_dq=queries,
        block_kv_dq=keys,
    )


def _fill(x: Array, tile: int, *, dim: int) -> Array:
    """Append zeros up to a whole number of tiles."""
    widths = [(0, 0)] * x.ndim
    widths[dim] = (0, -x.shape[dim] % tile)
    return jnp.pad(x, widths)


def _segments(mask: Bool[Array, "B S"], num_queries: int) -> splash.SegmentIds:
    """Number the keys that count 1, as all queries; the others 0."""
    queries = jnp.ones((mask.shape[0], num_queries), jnp.int32)
    return splash.SegmentIds(q=queries, kv=mask.astype(jnp.int32))
