"""The UMT5 encoder: tokens and their mask in, one embedding per token out.

Letters: B batch, S (queries) and R (keys) positions, D width, N heads, K head width, F feed-forward width. One layer is

    x = x + attention(norm(x))                                              (1)
    x = x + wo(gelu(wi_0(norm(x))) wi_1(norm(x)))                           (2)
    attention = o(softmax(q k^T + bias[bucket(r - s)]) v)                   (3)

where the scores are not scaled, norms have a gain and no bias, no projection has one, and, unlike T5, every layer has
its own table of biases over buckets of relative position.

Source: UniMax (arXiv 2304.09151) on the T5 architecture (arXiv 1910.10683, section 2.1), and the published weights.
Norms, scores and softmax are float32; matrix products run in `execution.dtype`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from mdctl.models.umt5.config import UMT5Config
from mdctl.models.umt5.sharding import BLOCKS
from mdctl.parallel.execution import Execution

# Keeps the softmax finite in a row that nothing may be attended to from.
LOWEST = float(np.finfo(np.float32).min)


class UMT5Encoder(nnx.Module):
    """Embed token by token, in the light of all others; parameters of all layers are stacked on a leading axis."""

    def __init__(self, cfg: UMT5Config, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.execution = cfg, execution
        dtype, param_dtype = execution.dtype, execution.param_dtype
        self.shared = nnx.Embed(cfg.vocab_size, cfg.d_model, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.block = _stack_blocks(cfg, execution, rngs)
        self.final_layer_norm = RMSNorm(cfg, execution=execution, rngs=rngs)

    @property
    def width(self) -> int:
        """Return the width of an embedding."""
        return self.cfg.d_model

    def __call__(self, tokens_BS: Int[Array, "B S"], mask_BS: Bool[Array, "B S"]) -> Float[Array, "B S D"]:
        """Return the embeddings in `execution.dtype`; those of positions that `mask_BS` leaves out mean nothing."""
        buckets_SR = jnp.asarray(position_buckets(tokens_BS.shape[1], self.cfg))
        graphdef, stacked = nnx.split(self.block)

        def run_block(x_BSD: Array, params: nnx.State[Any, Any], *inputs: Any) -> Array:
            return nnx.merge(graphdef, params)(x_BSD, *inputs)

        x_BSD = self.execution.scan(run_block, self.shared(tokens_BS), stacked, (buckets_SR, mask_BS), BLOCKS)
        return self.final_layer_norm(x_BSD)


class Block(nnx.Module):
    """Attention, then feed-forward: (1), (2)."""

    def __init__(self, cfg: UMT5Config, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.execution = execution
        self.attention_norm = RMSNorm(cfg, execution=execution, rngs=rngs)
        self.attention = BiasedAttention(cfg, execution=execution, rngs=rngs)
        self.feed_forward_norm = RMSNorm(cfg, execution=execution, rngs=rngs)
        self.feed_forward = FeedForward(cfg, execution=execution, rngs=rngs)

    def __call__(
        self, x_BSD: Float[Array, "B S D"], buckets_SR: Int[Array, "S S"], mask_BS: Bool[Array, "B S"]
    ) -> Float[Array, "B S D"]:
        """Apply the layer."""
        x_BSD = x_BSD + self.attention(self.attention_norm(x_BSD), buckets_SR, mask_BS)
        x_BSD = x_BSD + self.feed_forward(self.feed_forward_norm(x_BSD))
        return self.execution.constrain(x_BSD, "batch", None, None)


class BiasedAttention(nnx.Module):
    """Attention that knows of positions by a bias to its scores: (3).

    Written out here, since the kernels that `execution` offers scale their scores and add nothing to them.
    """

    def __init__(self, cfg: UMT5Config, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.execution = cfg, execution
        width = cfg.num_heads * cfg.d_kv
        self.q, self.k, self.v = (_linear(cfg.d_model, width, execution, rngs) for _ in range(3))
        self.relative_attention_bias = nnx.Embed(
            cfg.relative_attention_num_buckets,
            cfg.num_heads,
            dtype=jnp.float32,
            param_dtype=execution.param_dtype,
            rngs=rngs,
        )
        self.o = _linear(width, cfg.d_model, execution, rngs)

    def __call__(
        self, x_BSD: Float[Array, "B S D"], buckets_SR: Int[Array, "S S"], mask_BS: Bool[Array, "B S"]
    ) -> Float[Array, "B S D"]:
        """Attend to the positions that `mask_BS` leaves; from a row of which it leaves none, to all alike."""
        q_BSNK, k_BRNK, v_BRNK = (self.heads(project(x_BSD)) for project in (self.q, self.k, self.v))
        bias_NSR = rearrange(self.relative_attention_bias(buckets_SR), "s r n -> n s r")
        scores_BNSR = jnp.einsum("bsnk,brnk->bnsr", q_BSNK, k_BRNK, preferred_element_type=jnp.float32) + bias_NSR[None]
        scores_BNSR = jnp.where(rearrange(mask_BS, "b r -> b 1 1 r"), scores_BNSR, LOWEST)
        weights_BNSR = jax.nn.softmax(scores_BNSR, axis=-1).astype(v_BRNK.dtype)
        out_BSNK = jnp.einsum("bnsr,brnk->bsnk", weights_BNSR, v_BRNK)
        return self.o(rearrange(out_BSNK, "b s n k -> b s (n k)"))

    def heads(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S N K"]:
        """Split the width into heads."""
        x_BSNK = rearrange(x_BSD, "b s (n k) -> b s n k", n=self.cfg.num_heads)
        return self.execution.constrain(x_BSNK, "batch", None, "heads", None)


class FeedForward(nnx.Module):
    """Gated feed-forward with the tanh form of GELU: (2)."""

    def __init__(self, cfg: UMT5Config, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.execution = execution
        self.wi_0 = _linear(cfg.d_model, cfg.d_ff, execution, rngs)
        self.wi_1 = _linear(cfg.d_model, cfg.d_ff, execution, rngs)
        self.wo = _linear(cfg.d_ff, cfg.d_model, execution, rngs)

    def __call__(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        """Apply to each position."""
        x_BSF = jax.nn.gelu(self.wi_0(x_BSD), approximate=True) * self.wi_1(x_BSD)
        return self.wo(self.execution.constrain(x_BSF, "batch", None, "mlp"))


class RMSNorm(nnx.Module):
    """Bring each position to mean square 1, times a gain, in float32; returns `execution.dtype`."""

    def __init__(self, cfg: UMT5Config, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.eps, self.dtype = cfg.layer_norm_epsilon, execution.dtype
        self.scale = nnx.Param(jnp.ones((cfg.d_model,), execution.param_dtype))

    def __call__(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        """Normalise each position by itself."""
        x_BSD = x_BSD.astype(jnp.float32)
        x_BSD = x_BSD * jax.lax.rsqrt(jnp.mean(jnp.square(x_BSD), axis=-1, keepdims=True) + self.eps)
        return (x_BSD * self.scale[...].astype(jnp.float32)[None, None]).astype(self.dtype)


def position_buckets(length: int, cfg: UMT5Config) -> np.ndarray:
    """Return the bucket [S, R] of every query's distance to every key, int32.

    Half of the buckets are for keys after the query. Of each half, the first half are single distances; the rest grow
    logarithmically up to the maximum distance, and what is farther falls into the last. Float32, as published: another
    precision puts the distances at the edges of buckets elsewhere.
    """
    half = cfg.relative_attention_num_buckets // 2
    exact = half // 2
    relative_SR = np.arange(length)[None, :] - np.arange(length)[:, None]
    distance_SR = np.abs(relative_SR)
    far_SR = np.log(np.maximum(distance_SR, 1).astype(np.float32) / np.float32(exact))
    far_SR = far_SR / np.float32(np.log(cfg.relative_attention_max_distance / exact)) * np.float32(half - exact)
    far_SR = np.minimum(exact + far_SR.astype(np.int32), half - 1)
    buckets_SR = np.where(distance_SR < exact, distance_SR, far_SR) + np.where(relative_SR > 0, half, 0)
    return buckets_SR.astype(np.int32)


def _stack_blocks(cfg: UMT5Config, execution: Execution, rngs: nnx.Rngs) -> Block:
    """Create all layers as one, its parameters stacked."""

    @nnx.split_rngs(splits=cfg.num_layers)
    @nnx.vmap
    def create(rngs: nnx.Rngs) -> Block:
        return Block(cfg, execution=execution, rngs=rngs)

    return create(rngs)


def _linear(d_in: int, d_out: int, execution: Execution, rngs: nnx.Rngs) -> nnx.Linear:
    dtype, param_dtype = execution.dtype, execution.param_dtype
    return nnx.Linear(d_in, d_out, use_bias=False, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
