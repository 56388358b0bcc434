"""The UNet of Stable Diffusion: noisy latents, a time and a text in, the model's prediction out.

Letters: B batch, H height, W width, C channels of latents; S text positions, E width of the text, D width of the time's
embedding, P width of the pooled text, Z sizes.

On the way down every layer leaves what it made, and on the way up every residual block takes the latest of what is
left beside what flows through, so that the two ways mirror each other. A ControlNet adds to what was left, and to what
the middle gives.

Source: High-Resolution Image Synthesis with Latent Diffusion Models (arXiv 2112.10752), SDXL (arXiv 2307.01952), and
their published weights. The time's embedding, norms and the last convolution are float32; the rest runs in
`execution.dtype`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jax.nn.initializers import zeros
from jaxtyping import Array, Float, Float32

from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.layers import Downsample, GroupNorm, NumberEmbedding, ResnetBlock, Upsample, conv, sinusoids
from mdctl.models.unet.transformer import Transformer
from mdctl.parallel.execution import Execution

Image = Float[Array, "B _H _W _C"]


class Added(NamedTuple):
    """What SDXL takes beside the text: its pooled form, and sizes and crop in pixels, in the order of NUM_SIZES."""

    pooled: Float[Array, "B P"]
    sizes: Float[Array, "B Z"]


class UNet(nnx.Module):
    """Predict from noisy latents, time and text."""

    def __init__(self, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg, self.execution = cfg, execution
        widths, added_dim = cfg.block_out_channels, cfg.projection_class_embeddings_input_dim
        levels = range(len(widths))
        self.time_embedding = NumberEmbedding(widths[0], cfg, execution=execution, rngs=rngs)
        # None where nothing is added to the time.
        self.add_embedding = NumberEmbedding(added_dim, cfg, execution=execution, rngs=rngs) if added_dim else None
        self.conv_in = conv(cfg.in_channels, widths[0], execution, rngs)
        self.down_blocks = nnx.List([DownBlock(level, cfg, execution=execution, rngs=rngs) for level in levels])
        self.mid_block = MidBlock(cfg, execution=execution, rngs=rngs)
        self.up_blocks = nnx.List([UpBlock(level, cfg, execution=execution, rngs=rngs) for level in reversed(levels)])
        self.conv_norm_out = GroupNorm(widths[0], cfg.norm_num_groups, cfg.norm_eps, execution=execution, rngs=rngs)
        self.conv_out = conv(widths[0], cfg.out_channels, execution, rngs, init=zeros, dtype=jnp.float32)

    def __call__(
        self,
        x: Float[Array, "B H W C"],
        time: Float[Array, " B"],
        text: Float[Array, "B S E"],
        added: Added | None = None,
        *,
        down_residuals: Sequence[Image] | None = None,
        mid_residual: Image | None = None,
    ) -> Float32[Array, "B H W O"]:
        """Return the prediction, in the geometry of `x`.

        `time` is in the network's own unit, the steps of its training, 0 to 999. `down_residuals` are what a ControlNet
        adds to what the way down leaves, in that order, and `mid_residual` to what the middle gives.
        """
        temb = self.embed(time, added)
        text = self.execution.constrain(text.astype(self.execution.dtype), "batch", "text", None)
        x = self.execution.constrain(self.conv_in(x), "batch", None, None, None)
        left = [x]
        for down in self.down_blocks:
            x, more = down(x, temb, text)
            left += more
        x = self.mid_block(x, temb, text)
        if down_residuals is not None:
            left = [skip + extra.astype(skip.dtype) for skip, extra in zip(left, down_residuals, strict=True)]
        if mid_residual is not None:
            x = x + mid_residual.astype(x.dtype)
        for up in self.up_blocks:
            x = up(x, left, temb, text)
        return self.conv_out(jax.nn.silu(self.conv_norm_out(x)))

    def embed(self, time: Float[Array, " B"], added: Added | None) -> Float32[Array, "B D"]:
        """Return the time's embedding, with that of the pooled text and the sizes where the network takes them."""
        return embed(self.cfg, self.time_embedding, self.add_embedding, time, added)


def embed(
    cfg: UNetConfig,
    time_embedding: NumberEmbedding,
    add_embedding: NumberEmbedding | None,
    time: Float[Array, " B"],
    added: Added | None,
) -> Float32[Array, "B D"]:
    """Return the time's embedding by these layers, plus that of what is added where there is a layer for it."""
    assert (added is None) == (add_embedding is None), (added, cfg)
    temb_BD = time_embedding(sinusoids(time, cfg.block_out_channels[0]))
    if added is None or add_embedding is None:
        return temb_BD
    sizes_BF = sinusoids(rearrange(added.sizes, "b z -> (b z)"), cfg.addition_time_embed_dim)
    sizes_BF = rearrange(sizes_BF, "(b z) f -> b (z f)", b=added.sizes.shape[0])
    return temb_BD + add_embedding(jnp.concatenate([added.pooled.astype(jnp.float32), sizes_BF], axis=-1))


class DownBlock(nnx.Module):
    """A level on the way down: residual blocks, transformers after them where the level has any, a step down."""

    def __init__(self, level: int, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        widths, count = cfg.block_out_channels, cfg.layers_per_block
        dims = [widths[max(level - 1, 0)]] + [widths[level]] * (count - 1)
        self.resnets = nnx.List([ResnetBlock(dim, widths[level], cfg, execution=execution, rngs=rngs) for dim in dims])
        self.attentions = nnx.List(_transformers(count, level, cfg, execution, rngs))
        is_last = level == len(widths) - 1
        self.downsampler = None if is_last else Downsample(widths[level], execution=execution, rngs=rngs)

    def __call__(self, x: Image, temb: Float32[Array, "B D"], text: Float[Array, "B S E"]) -> tuple[Image, list[Image]]:
        """Return what flows on, and what every layer leaves for the way up."""
        left = []
        for index, resnet in enumerate(self.resnets):
            x = resnet(x, temb)
            x = self.attentions[index](x, text) if self.attentions else x
            left.append(x)
        if self.downsampler is not None:
            x = self.downsampler(x)
            left.append(x)
        return x, left


class MidBlock(nnx.Module):
    """A transformer between two residual blocks, at the deepest level."""

    def __init__(self, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        level, dim = len(cfg.block_out_channels) - 1, cfg.block_out_channels[-1]
        self.resnets = nnx.List([ResnetBlock(dim, dim, cfg, execution=execution, rngs=rngs) for _ in range(2)])
        self.attentions = nnx.List([Transformer(level, cfg, execution=execution, rngs=rngs)])

    def __call__(self, x: Image, temb: Float32[Array, "B D"], text: Float[Array, "B S E"]) -> Image:
        """Apply the block."""
        x = self.attentions[0](self.resnets[0](x, temb), text)
        return self.resnets[1](x, temb)


class UpBlock(nnx.Module):
    """A level on the way up: residual blocks, transformers after them where the level has any, a step up."""

    def __init__(self, level: int, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        widths, count = cfg.block_out_channels, cfg.layers_per_block + 1
        dim = widths[level]
        below, above = widths[min(level + 1, len(widths) - 1)], widths[max(level - 1, 0)]
        dims = zip([below] + [dim] * (count - 1), [dim] * (count - 1) + [above], strict=True)
        self.resnets = nnx.List(
            [ResnetBlock(flow + skip, dim, cfg, execution=execution, rngs=rngs) for flow, skip in dims]
        )
        self.attentions = nnx.List(_transformers(count, level, cfg, execution, rngs))
        self.upsampler = Upsample(dim, execution=execution, rngs=rngs) if level else None

    def __call__(self, x: Image, left: list[Image], temb: Float32[Array, "B D"], text: Float[Array, "B S E"]) -> Image:
        """Return what flows on; take from the end of `left` what this level takes."""
        for index, resnet in enumerate(self.resnets):
            x = resnet(jnp.concatenate([x, left.pop()], axis=-1), temb)
            x = self.attentions[index](x, text) if self.attentions else x
        if self.upsampler is None:
            return x
        _, height, width, _ = left[-1].shape
        return self.upsampler(x, height, width)


def _transformers(count: int, level: int, cfg: UNetConfig, execution: Execution, rngs: nnx.Rngs) -> list[Transformer]:
    """Create the transformers of a level, one for each residual block, or none."""
    count = count if cfg.cross_attention[level] else 0
    return [Transformer(level, cfg, execution=execution, rngs=rngs) for _ in range(count)]
