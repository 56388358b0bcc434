"""Attention in blocks of keys: memory linear in the sequence, on any platform.

One pass over the blocks j keeps the running maximum m, the sum l and the unnormalised output o of each query [1]:

    s_j = q k_jᵀ / √K        m' = max(m, max s_j)        p_j = exp(s_j - m')
    l' = exp(m - m') l + Σ p_j        o' = exp(m - m') o + p_j v_j                     (1)
    out = o / l        lse = m + log l                                                (2)

The backward pass computes the weights anew from lse, block by block [2]:

    p_j = exp(s_j - lse)        δ = Σ_K out ∂out
    ∂v_j = p_jᵀ ∂out        ∂s_j = p_j (∂out v_jᵀ - δ)        ∂k_j = ∂s_jᵀ q / √K        ∂q += ∂s_j k_j / √K    (3)

[1] Milakov and Gimelshein 2018, arXiv:1805.02867; [2] Dao et al. 2022, arXiv:2205.14135, algorithm 4.

Letters: J blocks, S keys of one block; otherwise those of the package.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import ATTENTION_RESIDUALS
from mdctl.parallel.precision import full_precision

BLOCK = 512
HIDDEN = -1e30
"""Score of a masked key: finite, so that a block without any key gives no NaN."""


class Blocks(NamedTuple):
    """Keys, values and mask, cut into blocks."""

    k: Float[Array, "J B S N K"]
    v: Float[Array, "J B S N K"]
    mask: Bool[Array, "J B S"]


def blockwise_attention(
    q: Float[Array, "B L N K"],
    k: Float[Array, "B S N K"],
    v: Float[Array, "B S N K"],
    mask: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B L N K"]:
    """Attend over one block of keys after the other; every row of `mask` must leave a key."""
    mask = jnp.ones(k.shape[:2], bool) if mask is None else mask
    return _attend(q, k, v, mask)


@jax.custom_vjp
def _attend(q: Array, k: Array, v: Array, mask: Array) -> Array:
    return _forward(q, k, v, mask)[0]


def _forward(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, tuple[Array, ...]]:
    out_BLNK, lse_BNL = _online_softmax(q, _cut(k, v, mask))
    out_BLNK = checkpoint_name(out_BLNK.astype(q.dtype), ATTENTION_RESIDUALS)
    return out_BLNK, (q, k, v, mask, out_BLNK, checkpoint_name(lse_BNL, ATTENTION_RESIDUALS))


@full_precision
def _backward(residuals: tuple[Array, ...], d_out: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, mask, out, lse = residuals
    delta_BNL = jnp.einsum("blnk,blnk->bnl", out, d_out, preferred_element_type=jnp.float32)
    step = partial(_block_gradients, q, d_out, lse, delta_BNL)
    d_q, (d_k, d_v) = jax.lax.scan(step, jnp.zeros(q.shape, jnp.float32), _cut(k, v, mask))
    d_k, d_v = (rearrange(d, "j b s n k -> b (j s) n k")[:, : k.shape[1]] for d in (d_k, d_v))
    return d_q.astype(q.dtype), d_k, d_v, None


_attend.defvjp(_forward, _backward)


def _cut(k: Array, v: Array, mask: Array) -> Blocks:
    """Cut into blocks; keys that fill the last one are masked."""
    size = min(BLOCK, k.shape[1])
    missing = -k.shape[1] % size

    def cut(x: Array) -> Array:
        padded = jnp.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2))
        return rearrange(padded, "b (j s) ... -> j b s ...", s=size)

    return Blocks(cut(k), cut(v), cut(mask))


def _online_softmax(q: Array, blocks: Blocks) -> tuple[Array, Array]:
    """Return the output and lse, both float32, by (1) and (2)."""
    batch, length, num_heads, width = q.shape

    def step(carry: tuple[Array, Array, Array], block: Blocks) -> tuple[tuple[Array, Array, Array], None]:
        m, total, o = carry
        s_BNLS = _scores(q, block)
        m_next = jnp.maximum(m, s_BNLS.max(axis=-1))
        p_BNLS = jnp.exp(s_BNLS - m_next[..., None])
        alpha = jnp.exp(m - m_next)
        o_block = jnp.einsum("bnls,bsnk->bnlk", p_BNLS.astype(block.v.dtype), block.v, preferred_element_type=o.dtype)
        return (m_next, alpha * total + p_BNLS.sum(axis=-1), alpha[..., None] * o + o_block), None

    m = jnp.full((batch, num_heads, length), HIDDEN, jnp.float32)
    o = jnp.zeros((batch, num_heads, length, width), jnp.float32)
    (m, total, o), _ = jax.lax.scan(step, (m, jnp.zeros_like(m), o), blocks)
    return rearrange(o / total[..., None], "b n l k -> b l n k"), m + jnp.log(total)


def _scores(q: Array, block: Blocks) -> Array:
    scores = jnp.einsum("blnk,bsnk->bnls", q, block.k, preferred_element_type=jnp.float32)
    return jnp.where(rearrange(block.mask, "b s -> b 1 1 s"), scores * jnp.float32(q.shape[-1] ** -0.5), HIDDEN)


def _block_gradients(
    q: Array, d_out: Array, lse: Array, delta: Array, d_q: Array, block: Blocks
) -> tuple[Array, tuple[Array, Array]]:
    """Return ∂q with this block added, and its ∂k and ∂v, by (3)."""
    scale = jnp.float32(q.shape[-1] ** -0.5)
    einsum = partial(jnp.einsum, preferred_element_type=jnp.float32)
    p_BNLS = jnp.exp(_scores(q, block) - lse[..., None])
    d_v = einsum("bnls,blnk->bsnk", p_BNLS.astype(d_out.dtype), d_out)
    d_p = einsum("blnk,bsnk->bnls", d_out, block.v)
    d_s = (scale * p_BNLS * (d_p - delta[..., None])).astype(q.dtype)
    d_k = einsum("bnls,blnk->bsnk", d_s, q)
    return d_q + einsum("bnls,bsnk->blnk", d_s, block.k), (d_k.astype(block.k.dtype), d_v.astype(block.v.dtype))
