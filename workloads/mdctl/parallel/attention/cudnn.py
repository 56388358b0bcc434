"""cuDNN's fused attention for GPUs, as JAX calls it and as Transformer Engine does.

Both take bfloat16 and head widths that are multiples of 8, to 256 on Hopper and later. JAX's ran on an H200 (`make
test-gpu`); Transformer Engine's never did, for it was not to be had.

cuDNN takes a mask as a whole matrix of biases only, and its backward pass an even number of keys. So keys are hidden
within the product instead: with one channel more, of 1 in every query and of m_s in key s,

    s_ls = (q_l k_s + m_s) / √K        m_s = 0, or -1e30 where a key is hidden                                 (1)

which needs no memory and costs 8 channels, since widths go by eights; an odd number of keys gets a hidden one.
"""

import logging
from importlib.util import find_spec

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import Attention

logger = logging.getLogger(__name__)

TRANSFORMER_ENGINE = "transformer_engine"


WIDTHS = 8
"""Head widths are multiples of this."""
HIDDEN = -1e30
"""m_s of a hidden key: its weight is exactly zero, and so is what its gradient is multiplied by."""


def cudnn_attention(
    q: Float[Array, "B L N K"],
    k: Float[Array, "B S N K"],
    v: Float[Array, "B S N K"],
    mask: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B L N K"]:
    """Attend by cuDNN, as JAX calls it; every row of `mask` must leave a key."""
    width, odd = q.shape[-1], k.shape[1] % 2
    if mask is None and odd:
        mask = jnp.ones(k.shape[:2], bool)
    if mask is not None:
        more_keys = [(0, 0), (0, odd)]
        k, v = (jnp.pad(x, [*more_keys, (0, 0), (0, 0)]) for x in (k, v))
        q, k, v = _hiding(q, k, v, jnp.pad(mask, more_keys))
    return jax.nn.dot_product_attention(q, k, v, scale=width**-0.5, implementation="cudnn")[..., :width]


def _hiding(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, Array, Array]:
    """Return queries, keys and values with the channel of (1)."""
    one = jnp.zeros((1, 1, 1, WIDTHS), q.dtype).at[..., 0].set(1)
    score = jnp.where(mask, 0, HIDDEN).astype(k.dtype)
    more = jnp.broadcast_to(one, (*q.shape[:-1], WIDTHS))
    hiding = jnp.broadcast_to(rearrange(score, "b s -> b s 1 1") * one, (*k.shape[:-1], WIDTHS))
    return (
        jnp.concatenate([q, more], axis=-1),
        jnp.concatenate([k, hiding], axis=-1),
        jnp.concatenate([v, jnp.zeros_like(hiding)], axis=-1),
    )


def transformer_engine_attention() -> Attention:
    """Return attention by Transformer Engine, or by cuDNN as JAX calls it where that is not installed."""
    if find_spec(TRANSFORMER_ENGINE) is None:
        logger.warning("Transformer Engine is not installed; attention is cuDNN's as JAX calls it ('cudnn')")
        return cudnn_attention
    from transformer_engine.jax.flax.transformer import DotProductAttention

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        _, _, num_heads, width = q.shape
        layer = DotProductAttention(
            head_dim=width,
            num_attention_heads=num_heads,
            num_gqa_groups=num_heads,
            attn_mask_type="no_mask" if mask is None else "padding",
            transpose_batch_sequence=False,
            qkv_layout="bshd_bshd_bshd",
            dtype=q.dtype,
        )
        # There a mask is True where a score does not count.
        hidden = None if mask is None else ~rearrange(mask, "b s -> b 1 1 s").repeat(q.shape[1], axis=2)
        out: Array = layer.apply({}, q, k, v, mask=hidden)
        return out

    return attend
