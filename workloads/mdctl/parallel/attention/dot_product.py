"""Attention written out: the form that every other kernel is held against.

    s = q kᵀ / √K        p = softmax(s)        out = p v                                             (1)

The gradient of a softmax needs Σ_S p ∂p for each query, over all keys. It is Σ_K out ∂out, over the width of a head
[1], so the backward pass is written by hand: XLA, left to itself, takes up to twice as long on CPUs.

    ∂v = pᵀ ∂out        ∂s = p (∂out vᵀ - Σ_K out ∂out)        ∂q = ∂s k / √K        ∂k = ∂sᵀ q / √K     (2)

[1] Dao et al. 2022, arXiv:2205.14135, appendix B.2.
"""

from functools import partial

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

from mdctl.parallel.precision import full_precision

_einsum = partial(jnp.einsum, preferred_element_type=jnp.float32)


def dot_product_attention(
    q: Float[Array, "B L N K"],
    k: Float[Array, "B S N K"],
    v: Float[Array, "B S N K"],
    mask: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B L N K"]:
    """Attend with the whole matrix of scores in memory, softmax in float32."""
    return _attend(q, k, v, mask)


@jax.custom_vjp
def _attend(q: Array, k: Array, v: Array, mask: Array | None) -> Array:
    return _forward(q, k, v, mask)[0]


def _forward(q: Array, k: Array, v: Array, mask: Array | None) -> tuple[Array, tuple[Array, ...]]:
    p_BNLS = jax.nn.softmax(_scores(q, k, mask), axis=-1)
    out = jnp.einsum("bnls,bsnk->blnk", p_BNLS.astype(v.dtype), v).astype(q.dtype)
    return out, (q, k, v, out, p_BNLS)


@full_precision
def _backward(residuals: tuple[Array, ...], d_out: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, out, p_BNLS = residuals
    scale = jnp.float32(q.shape[-1] ** -0.5)
    delta_BNL1 = rearrange(_einsum("blnk,blnk->bnl", out, d_out), "b n l -> b n l 1")
    d_v = _einsum("bnls,blnk->bsnk", p_BNLS.astype(d_out.dtype), d_out)
    d_s = (p_BNLS * (_einsum("blnk,bsnk->bnls", d_out, v) - delta_BNL1)).astype(q.dtype)
    d_q, d_k = _einsum("bnls,bsnk->blnk", d_s, k) * scale, _einsum("bnls,blnk->bsnk", d_s, q) * scale
    return d_q.astype(q.dtype), d_k.astype(k.dtype), d_v.astype(v.dtype), None


_attend.defvjp(_forward, _backward)


def _scores(q: Array, k: Array, mask: Array | None) -> Array:
    """Return s of (1) in float32; queries are scaled where that rounds no more than scores do, for they are fewer."""
    scale = jnp.float32(q.shape[-1] ** -0.5)
    exact = q.dtype == jnp.float32
    scores_BNLS = _einsum("blnk,bsnk->bnls", q * scale, k) if exact else _einsum("blnk,bsnk->bnls", q, k) * scale
    if mask is None:
        return scores_BNLS
    return jnp.where(rearrange(mask, "b s -> b 1 1 s"), scores_BNLS, -jnp.inf)
