"""cuDNN's fused attention for GPUs, as JAX calls it and as Transformer Engine does.

Both take bfloat16 and head widths that are multiples of 8, to 256 on Hopper and later. A mask goes in as an additive
bias. Neither has ever run: no GPU was at hand.
"""

import logging
from importlib.util import find_spec

import jax
from einops import rearrange
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import Attention

logger = logging.getLogger(__name__)

TRANSFORMER_ENGINE = "transformer_engine"


def cudnn_attention(
    q: Float[Array, "B L N K"],
    k: Float[Array, "B S N K"],
    v: Float[Array, "B S N K"],
    mask: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B L N K"]:
    """Attend by cuDNN, as JAX calls it."""
    hidden = None if mask is None else rearrange(mask, "b s -> b 1 1 s")
    return jax.nn.dot_product_attention(q, k, v, mask=hidden, implementation="cudnn")


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
