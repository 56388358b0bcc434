"""Attention written out: the form that every other kernel is held against."""

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float


def dot_product_attention(
    q: Float[Array, "B L N K"],
    k: Float[Array, "B S N K"],
    v: Float[Array, "B S N K"],
    mask: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B L N K"]:
    """Attend with the whole matrix of scores in memory, softmax in float32."""
    scores_BNLS = jnp.einsum("blnk,bsnk->bnls", q, k, preferred_element_type=jnp.float32)
    scores_BNLS = scores_BNLS * jnp.float32(q.shape[-1] ** -0.5)
    if mask is not None:
        scores_BNLS = jnp.where(rearrange(mask, "b s -> b 1 1 s"), scores_BNLS, -jnp.inf)
    weights_BNLS = jax.nn.softmax(scores_BNLS, axis=-1).astype(v.dtype)
    return jnp.einsum("bnls,bsnk->blnk", weights_BNLS, v).astype(q.dtype)
