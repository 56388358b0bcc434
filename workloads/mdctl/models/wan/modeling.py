"""The Wan 2.1 text-to-video transformer: noisy latents, a time and a text in, the model's prediction out.

Letters: B batch, T frames, H height, W width, C channels of latents; L tokens (patches), S text positions, E width of
the text, D width, N heads, K head width, J = K / 2 rotary planes, P values of a patch, F frequencies. With e the six
modulation rows that the time gives to every block plus the block's own table, one block is

    x = x + e2 attn1(norm(x) (1 + e1) + e0)                    (1)  self-attention, rotary positions
    x = x + attn2(norm2(x), text)                              (2)  cross-attention
    x = x + e5 ffn(norm(x) (1 + e4) + e3)                      (3)

and, with two more rows h from the same time, the prediction is unpatched from

    proj_out(norm(x) (1 + h1) + h0)                            (4)

Source: Wan: Open and Advanced Large-Scale Video Generative Models (arXiv 2503.20314), and its published weights.
Norms, modulation, positions and all that is made of the time are float32; the rest runs in `execution.dtype`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jax.nn.initializers import Initializer, normal, ones, xavier_uniform, zeros
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.rotary import THETA, Rotary, halve, rotary_positions, rotate
from mdctl.models.wan.sharding import BLOCKS
from mdctl.parallel.execution import Execution
from mdctl.spec.shapes import LatentShape, PatchGrid


class WanTransformer(nnx.Module):
    """Predict from noisy latents, time and text; the blocks' parameters are stacked on a leading axis."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg, self.execution = cfg, execution
        self.patch_embedding = PatchEmbedding(cfg, execution=execution, rngs=rngs)
        self.condition_embedder = ConditionEmbedder(cfg, execution=execution, rngs=rngs)
        self.blocks = _stack_blocks(cfg, execution, rngs)
        patch = int(np.prod(cfg.patch_size)) * cfg.out_channels
        self.proj_out = _linear(cfg.width, patch, execution, rngs, init=zeros, dtype=jnp.float32)
        self.scale_shift_table = _modulation_table(2, cfg, execution, rngs)

    def __call__(
        self, latents: Float[Array, "B T H W C"], time: Float[Array, " B"], text: Float[Array, "B S E"]
    ) -> Float[Array, "B T H W O"]:
        """Return the prediction in float32, in the geometry of `latents`.

        `time` is in the network's own unit, 0 (data) to 1000 (noise). `text` holds zeros past the end of a prompt;
        every position of it is attended to.
        """
        grid = LatentShape(*latents.shape[1:]).patches(self.cfg.patch_size)
        assert max(grid) <= self.cfg.rope_max_seq_len, (grid, self.cfg.rope_max_seq_len)
        length = grid.tokens + -grid.tokens % self.execution.token_multiple

        temb_BD, e_B6D, text_BSD = self.condition_embedder(time, text)
        x_BLD = self.patch_embedding(latents, length)
        x_BLD = self._run_blocks(x_BLD, text_BSD, e_B6D, grid)
        h_B2D = self.scale_shift_table[...][None] + temb_BD[:, None]
        x_BLD = modulate(layer_norm(x_BLD, self.cfg.eps), shift=h_B2D[:, 0], scale=h_B2D[:, 1])
        return unpatch(self.proj_out(x_BLD)[:, : grid.tokens], grid, self.cfg)

    def _run_blocks(
        self,
        x_BLD: Float[Array, "B L D"],
        text_BSD: Float[Array, "B S D"],
        e_B6D: Float[Array, "B 6 D"],
        grid: PatchGrid,
    ) -> Float[Array, "B L D"]:
        """Scan over the blocks; tokens past the grid are padding, which nothing attends to."""
        batch, length, _ = x_BLD.shape
        rotary = rotary_positions(grid, self.cfg.attention_head_dim, length)
        rotary = Rotary(*(self.execution.constrain(table, "tokens", None) for table in rotary))
        real_BL = jnp.broadcast_to(jnp.arange(length)[None] < grid.tokens, (batch, length))
        mask_BL = real_BL if length > grid.tokens else None
        graphdef, stacked = nnx.split(self.blocks)

        def run_block(x_BLD: Array, params: nnx.State[Any, Any], *inputs: Any) -> Array:
            return nnx.merge(graphdef, params)(x_BLD, *inputs)

        return self.execution.scan(run_block, x_BLD, stacked, (text_BSD, e_B6D, rotary, mask_BL), BLOCKS)


class PatchEmbedding(nnx.Module):
    """Embed patches: a convolution whose stride is its kernel, hence one matrix product."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg, self.execution = cfg, execution
        shape = (*cfg.patch_size, cfg.in_channels, cfg.width)
        init = xavier_uniform(in_axis=(0, 1, 2, 3), out_axis=4)
        self.kernel = nnx.Param(init(rngs.params(), shape, execution.param_dtype))
        self.bias = nnx.Param(jnp.zeros(cfg.width, execution.param_dtype))

    def __call__(self, latents: Float[Array, "B T H W C"], length: int) -> Float[Array, "B L D"]:
        """Return tokens in raster order over (T, H, W), padded to `length` with empty patches."""
        t, h, w = self.cfg.patch_size
        patches_BLP = rearrange(latents, "b (t dt) (h dh) (w dw) c -> b (t h w) (dt dh dw c)", dt=t, dh=h, dw=w)
        patches_BLP = jnp.pad(patches_BLP, ((0, 0), (0, length - patches_BLP.shape[1]), (0, 0)))
        kernel_PD = rearrange(self.kernel[...], "dt dh dw c d -> (dt dh dw c) d")
        x_BLD = affine(patches_BLP.astype(self.execution.dtype), kernel_PD, self.bias[...])
        return self.execution.constrain(x_BLD, "batch", "tokens", None)


class ConditionEmbedder(nnx.Module):
    """Embed time and text, and project the time to the modulation of the blocks."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.time_embedder = TimeEmbedder(cfg, execution=execution, rngs=rngs)
        self.time_proj = _linear(cfg.width, 6 * cfg.width, execution, rngs, dtype=jnp.float32)
        self.text_embedder = TextEmbedder(cfg, execution=execution, rngs=rngs)

    def __call__(
        self, time: Float[Array, " B"], text: Float[Array, "B S E"]
    ) -> tuple[Float[Array, "B D"], Float[Array, "B 6 D"], Float[Array, "B S D"]]:
        """Return the time's embedding and its modulation rows, both float32, and the text at the model's width."""
        temb_BD = self.time_embedder(time)
        e_B6D = rearrange(self.time_proj(jax.nn.silu(temb_BD)), "b (six d) -> b six d", six=6)
        return temb_BD, e_B6D, self.text_embedder(text)


class TimeEmbedder(nnx.Module):
    """Embed the time: sinusoids, then two layers, in float32 throughout."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg = cfg
        self.linear_1 = _linear(cfg.freq_dim, cfg.width, execution, rngs, init=normal(0.02), dtype=jnp.float32)
        self.linear_2 = _linear(cfg.width, cfg.width, execution, rngs, init=normal(0.02), dtype=jnp.float32)

    def __call__(self, time: Float[Array, " B"]) -> Float[Array, "B D"]:
        """Return one vector for each time."""
        sinusoids_BF = timestep_embedding(time, self.cfg.freq_dim)
        return self.linear_2(jax.nn.silu(self.linear_1(sinusoids_BF)))


class TextEmbedder(nnx.Module):
    """Bring the text encoder's output to the model's width."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        self.linear_1 = _linear(cfg.text_dim, cfg.width, execution, rngs, init=normal(0.02))
        self.linear_2 = _linear(cfg.width, cfg.width, execution, rngs, init=normal(0.02))

    def __call__(self, text: Float[Array, "B S E"]) -> Float[Array, "B S D"]:
        """Return the text at the model's width, position by position."""
        text_BSD = self.linear_2(gelu(self.linear_1(text)))
        return self.execution.constrain(text_BSD, "batch", "text", None)


class Block(nnx.Module):
    """Self-attention, cross-attention and feed-forward: (1), (2), (3)."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg, self.execution = cfg, execution
        self.scale_shift_table = _modulation_table(6, cfg, execution, rngs)
        self.attn1 = SelfAttention(cfg, execution=execution, rngs=rngs)
        self.norm2 = LayerNorm(cfg, execution=execution, rngs=rngs)
        self.attn2 = CrossAttention(cfg, execution=execution, rngs=rngs)
        self.ffn = FeedForward(cfg, execution=execution, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        text: Float[Array, "B S D"],
        modulation: Float[Array, "B 6 D"],
        rotary: Rotary,
        mask: Bool[Array, "B L"] | None,
    ) -> Float[Array, "B L D"]:
        """Apply the block; `mask` is True where a token is real, None where all are."""
        eps, dtype = self.cfg.eps, x.dtype
        e0, e1, e2, e3, e4, e5 = jnp.unstack(self.scale_shift_table[...][None] + modulation, axis=1)
        y = modulate(layer_norm(x, eps), shift=e0, scale=e1).astype(dtype)
        x = add_gated(x, self.attn1(y, rotary, mask), gate=e2)
        x = x + self.attn2(self.norm2(x).astype(dtype), text)
        y = modulate(layer_norm(x, eps), shift=e3, scale=e4).astype(dtype)
        x = add_gated(x, self.ffn(y), gate=e5)
        return self.execution.constrain(x, "batch", "tokens", None)


class ProjectedAttention(nnx.Module):
    """The parameters that self-attention and cross-attention share: four projections and two norms."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg, self.execution = cfg, execution
        self.to_q, self.to_k, self.to_v = (_linear(cfg.width, cfg.width, execution, rngs) for _ in range(3))
        self.norm_q = RMSNorm(cfg, execution=execution, rngs=rngs)
        self.norm_k = RMSNorm(cfg, execution=execution, rngs=rngs)
        self.to_out = _linear(cfg.width, cfg.width, execution, rngs)

    def heads(self, x: Float[Array, "B L D"], sequence: str) -> Float[Array, "B L N K"]:
        """Split the width into heads, in the activations' dtype, laid out along `sequence`."""
        x_BLNK = rearrange(x.astype(self.execution.dtype), "b l (n k) -> b l n k", n=self.cfg.num_attention_heads)
        return self.execution.constrain(x_BLNK, "batch", sequence, "heads", "head")


class SelfAttention(ProjectedAttention):
    """Attend over the tokens, with rotary positions."""

    def __call__(
        self, x: Float[Array, "B L D"], rotary: Rotary, mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        """Attend among the tokens that `mask` leaves."""
        q_BLNK = self.heads(self._turned(x, self.to_q, self.norm_q, rotary), "tokens")
        k_BLNK = self.heads(self._turned(x, self.to_k, self.norm_k, rotary), "tokens")
        v_BLNK = self.heads(self.to_v(x), "tokens")
        out_BLNK = self.execution.attention(q_BLNK, k_BLNK, v_BLNK, mask)
        return self.to_out(rearrange(out_BLNK, "b l n k -> b l (n k)"))

    def _turned(
        self, x: Float[Array, "B L D"], linear: nnx.Linear, norm: "RMSNorm", rotary: Rotary
    ) -> Float[Array, "B L D"]:
        """Project, normalise and rotate, with planes as halves of each head; float32."""
        heads = self.cfg.num_attention_heads
        assert linear.bias is not None
        kernel, bias, scale = (halve(w[...], heads) for w in (linear.kernel, linear.bias, norm.scale))
        return rotate(rms_norm(affine(x, kernel, bias), scale, self.cfg.eps), rotary, heads)


class CrossAttention(ProjectedAttention):
    """Attend from the tokens to the text."""

    def __call__(self, x: Float[Array, "B L D"], text: Float[Array, "B S D"]) -> Float[Array, "B L D"]:
        """Attend to every position of the text, zeros past the prompt's end included, as the original does."""
        q_BLNK = self.heads(self.norm_q(self.to_q(x)), "tokens")
        k_BSNK = self.heads(self.norm_k(self.to_k(text)), "text")
        v_BSNK = self.heads(self.to_v(text), "text")
        out_BLNK = self.execution.cross_attention(q_BLNK, k_BSNK, v_BSNK, None)
        return self.to_out(rearrange(out_BLNK, "b l n k -> b l (n k)"))


class FeedForward(nnx.Module):
    """Two layers with GELU between them."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        self.proj_in = _linear(cfg.width, cfg.ffn_dim, execution, rngs)
        self.proj_out = _linear(cfg.ffn_dim, cfg.width, execution, rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        """Apply to each token."""
        return self.proj_out(gelu(self.execution.constrain(self.proj_in(x), "batch", "tokens", "mlp")))


class LayerNorm(nnx.Module):
    """Layer normalisation with gain and bias; float32."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg = cfg
        self.scale = nnx.Param(ones(rngs.params(), (cfg.width,), execution.param_dtype))
        self.bias = nnx.Param(zeros(rngs.params(), (cfg.width,), execution.param_dtype))

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        """Normalise each token."""
        scale, bias = (w[...].astype(jnp.float32)[None, None] for w in (self.scale, self.bias))
        return layer_norm(x, self.cfg.eps) * scale + bias


class RMSNorm(nnx.Module):
    """Root-mean-square normalisation over the whole width, all heads together; float32."""

    def __init__(self, cfg: WanConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg = cfg
        self.scale = nnx.Param(ones(rngs.params(), (cfg.width,), execution.param_dtype))

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        """Normalise each token."""
        return rms_norm(x, self.scale[...], self.cfg.eps)


def layer_norm(x: Float[Array, "B L D"], eps: float) -> Float[Array, "B L D"]:
    """Normalise each token to mean 0 and variance 1, in float32."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)


def rms_norm(x: Float[Array, "B L D"], scale: Float[Array, " D"], eps: float) -> Float[Array, "B L D"]:
    """Normalise each token to mean square 1, times `scale`, in float32."""
    x = x.astype(jnp.float32)
    x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)
    return x * scale.astype(jnp.float32)[None, None]


def modulate(
    x: Float[Array, "B L D"], *, shift: Float[Array, "B D"], scale: Float[Array, "B D"]
) -> Float[Array, "B L D"]:
    """Scale and shift every token of a sample alike."""
    return x * (1 + scale[:, None]) + shift[:, None]


def add_gated(
    x: Float[Array, "B L D"], y: Float[Array, "B L D"], *, gate: Float[Array, "B D"]
) -> Float[Array, "B L D"]:
    """Add y times a gate to the residual stream, in float32, and return the stream's dtype."""
    return (x.astype(jnp.float32) + y.astype(jnp.float32) * gate[:, None]).astype(x.dtype)


def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the tanh form of GELU, which the published weights were trained with."""
    return jax.nn.gelu(x, approximate=True)


def affine(x: Float[Array, "B L P"], kernel: Float[Array, "P D"], bias: Float[Array, " D"]) -> Float[Array, "B L D"]:
    """Return x kernel + bias in the dtype of x."""
    return x @ kernel.astype(x.dtype) + bias.astype(x.dtype)[None, None]


def timestep_embedding(time: Float[Array, " B"], dim: int) -> Float[Array, "B F"]:
    """Return cosines, then sines, of the time at `dim` / 2 frequencies from 1 down to almost 1 / THETA."""
    half = dim // 2
    frequencies = np.exp(-np.log(THETA).astype(np.float32) * np.arange(half, dtype=np.float32) / half)
    angles_BF = time.astype(jnp.float32)[:, None] * jnp.asarray(frequencies)[None]
    return jnp.concatenate([jnp.cos(angles_BF), jnp.sin(angles_BF)], axis=-1)


def unpatch(patches: Float[Array, "B L P"], grid: PatchGrid, cfg: WanConfig) -> Float[Array, "B T H W C"]:
    """Lay patches, in raster order over `grid`, back into a video."""
    (t, h, w), (dt, dh, dw) = grid, cfg.patch_size
    return rearrange(patches, "b (t h w) (dt dh dw c) -> b (t dt) (h dh) (w dw) c", t=t, h=h, w=w, dt=dt, dh=dh, dw=dw)


def _stack_blocks(cfg: WanConfig, execution: Execution, rngs: nnx.Rngs) -> Block:
    """Create all blocks as one, its parameters stacked."""

    @nnx.split_rngs(splits=cfg.num_layers)
    @nnx.vmap
    def create(rngs: nnx.Rngs) -> Block:
        return Block(cfg, execution=execution, rngs=rngs)

    return create(rngs)


def _linear(
    d_in: int,
    d_out: int,
    execution: Execution,
    rngs: nnx.Rngs,
    *,
    init: Initializer | None = None,
    dtype: DTypeLike | None = None,
) -> nnx.Linear:
    """Create a linear layer: Xavier-uniform and in the activations' dtype unless told otherwise."""
    return nnx.Linear(
        d_in,
        d_out,
        kernel_init=init or xavier_uniform(),
        dtype=dtype or execution.dtype,
        param_dtype=execution.param_dtype,
        rngs=rngs,
    )


def _modulation_table(rows: int, cfg: WanConfig, execution: Execution, rngs: nnx.Rngs) -> nnx.Param[jax.Array]:
    init = normal(cfg.width**-0.5)
    return nnx.Param(init(rngs.params(), (rows, cfg.width), execution.param_dtype))
