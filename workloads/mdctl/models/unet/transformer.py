"""Where the UNet attends: transformers over the positions of an image and a text.

Letters: B batch, H height, W width, C channels; L tokens (positions in raster order), S text positions, E width of the
text, D width (which is C), N heads, K head width. One block is

    x = x + attn1(norm1(x))                         (1)  self-attention
    x = x + attn2(norm2(x), text)                   (2)  cross-attention
    x = x + ff(norm3(x))                            (3)  feed-forward: a gate through GELU, in its exact form

and a transformer projects a normalised image to tokens, runs its blocks and adds what they give, projected back, to
the image. Norms are float32, and so are scores and softmax, in every kernel; the rest runs in `execution.dtype`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jax.nn.initializers import ones, zeros
from jaxtyping import Array, Bool, Float, Float32

from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.layers import GroupNorm, linear
from mdctl.models.unet.sharding import BLOCKS
from mdctl.parallel.attention import Attention
from mdctl.parallel.execution import Execution

# Of the norm over the image, and of those in blocks: neither is a setting.
IMAGE_EPS = 1e-6
TOKEN_EPS = 1e-5


class Transformer(nnx.Module):
    """Attend among the positions of an image and to a text; the blocks' parameters are stacked on a leading axis."""

    def __init__(self, level: int, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        dim = cfg.block_out_channels[level]
        self.execution = execution
        self.norm = GroupNorm(dim, cfg.norm_num_groups, IMAGE_EPS, execution=execution, rngs=rngs)
        self.proj_in = linear(dim, dim, execution, rngs)
        self.transformer_blocks = _stack_blocks(level, cfg, execution, rngs)
        self.proj_out = linear(dim, dim, execution, rngs, init=zeros)

    def __call__(self, x: Float[Array, "B H W C"], text: Float[Array, "B S E"]) -> Float[Array, "B H W C"]:
        """Return the image with what it attended to."""
        height, width = x.shape[1:3]
        x_BLD = rearrange(self.norm(x), "b h w c -> b (h w) c")
        missing = -x_BLD.shape[1] % self.execution.token_multiple
        x_BLD = self.proj_in(jnp.pad(x_BLD, ((0, 0), (0, missing), (0, 0))))
        x_BLD = self._run_blocks(self.execution.constrain(x_BLD, "batch", "tokens", None), text, height * width)
        h = rearrange(self.proj_out(x_BLD)[:, : height * width], "b (h w) c -> b h w c", h=height)
        return self.execution.constrain(x + h, "batch", None, None, None)

    def _run_blocks(
        self, x_BLD: Float[Array, "B L D"], text_BSE: Float[Array, "B S E"], num_tokens: int
    ) -> Float[Array, "B L D"]:
        """Scan over the blocks; tokens past the image are padding, which nothing attends to."""
        batch, length, _ = x_BLD.shape
        real_BL = jnp.broadcast_to(jnp.arange(length)[None] < num_tokens, (batch, length))
        mask_BL = real_BL if length > num_tokens else None
        graphdef, stacked = nnx.split(self.transformer_blocks)

        def run_block(x_BLD: Array, params: nnx.State[Any, Any], *inputs: Any) -> Array:
            return nnx.merge(graphdef, params)(x_BLD, *inputs)

        return self.execution.scan(run_block, x_BLD, stacked, (text_BSE, mask_BL), BLOCKS)


class TransformerBlock(nnx.Module):
    """Self-attention, cross-attention and feed-forward: (1), (2), (3)."""

    def __init__(self, level: int, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        dim, heads = cfg.block_out_channels[level], cfg.num_heads[level]
        self.execution = execution
        self.norm1 = LayerNorm(dim, execution=execution, rngs=rngs)
        self.attn1 = ProjectedAttention(dim, dim, heads, execution=execution, rngs=rngs)
        self.norm2 = LayerNorm(dim, execution=execution, rngs=rngs)
        self.attn2 = ProjectedAttention(dim, cfg.cross_attention_dim, heads, execution=execution, rngs=rngs)
        self.norm3 = LayerNorm(dim, execution=execution, rngs=rngs)
        self.ff = FeedForward(dim, execution=execution, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], text: Float[Array, "B S E"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        """Apply the block; `mask` is True where a token is real, None where all are."""
        y = self.norm1(x)
        x = x + self.attn1(y, y, mask, kernel=self.execution.attention, keys="tokens")
        x = x + self.attn2(self.norm2(x), text, None, kernel=self.execution.cross_attention, keys="text")
        x = x + self.ff(self.norm3(x))
        return self.execution.constrain(x, "batch", "tokens", None)


class ProjectedAttention(nnx.Module):
    """Attend from tokens to a sequence, through projections without bias, the last of which has one."""

    def __init__(self, dim: int, from_dim: int, num_heads: int, *, execution: Execution, rngs: nnx.Rngs):
        self.num_heads, self.execution = num_heads, execution
        self.to_q = linear(dim, dim, execution, rngs, use_bias=False)
        self.to_k = linear(from_dim, dim, execution, rngs, use_bias=False)
        self.to_v = linear(from_dim, dim, execution, rngs, use_bias=False)
        self.to_out = linear(dim, dim, execution, rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        source: Float[Array, "B S E"],
        mask: Bool[Array, "B S"] | None,
        *,
        kernel: Attention,
        keys: str,
    ) -> Float[Array, "B L D"]:
        """Attend to what `mask` leaves of `source`, which is laid out along `keys`."""
        q_BLNK = self._split(self.to_q(x), "tokens")
        k_BSNK, v_BSNK = self._split(self.to_k(source), keys), self._split(self.to_v(source), keys)
        return self.to_out(rearrange(kernel(q_BLNK, k_BSNK, v_BSNK, mask), "b l n k -> b l (n k)"))

    def _split(self, x: Float[Array, "B L D"], sequence: str) -> Float[Array, "B L N K"]:
        """Split the width into heads."""
        x_BLNK = rearrange(x, "b l (n k) -> b l n k", n=self.num_heads)
        return self.execution.constrain(x_BLNK, "batch", sequence, "heads", "head")


class FeedForward(nnx.Module):
    """Four times as wide inside: one half of the first layer's output, times GELU of the other."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        self.proj_in = linear(dim, 8 * dim, execution, rngs)
        self.proj_out = linear(4 * dim, dim, execution, rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        """Apply to each token."""
        halves = jnp.split(self.proj_in(x), 2, axis=-1)
        h, gate = (self.execution.constrain(half, "batch", "tokens", "mlp") for half in halves)
        return self.proj_out(h * gelu(gate))


class LayerNorm(nnx.Module):
    """Layer normalisation with gain and bias; float32."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs):
        self.scale = nnx.Param(ones(rngs.params(), (dim,), execution.param_dtype))
        self.bias = nnx.Param(zeros(rngs.params(), (dim,), execution.param_dtype))

    def __call__(self, x: Float[Array, "B L D"]) -> Float32[Array, "B L D"]:
        """Normalise each token."""
        scale, bias = (w[...].astype(jnp.float32)[None, None] for w in (self.scale, self.bias))
        return layer_norm(x, TOKEN_EPS) * scale + bias


def layer_norm(x: Float[Array, "B L D"], eps: float) -> Float32[Array, "B L D"]:
    """Normalise each token to mean 0 and variance 1, in float32."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)


def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return GELU in its exact form, by the error function."""
    return jax.nn.gelu(x, approximate=False)


def _stack_blocks(level: int, cfg: UNetConfig, execution: Execution, rngs: nnx.Rngs) -> TransformerBlock:
    """Create the blocks of a transformer as one, its parameters stacked."""

    @nnx.split_rngs(splits=cfg.transformer_layers_per_block[level])
    @nnx.vmap
    def create(rngs: nnx.Rngs) -> TransformerBlock:
        return TransformerBlock(level, cfg, execution=execution, rngs=rngs)

    return create(rngs)
