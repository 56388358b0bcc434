"""The ControlNet of Stable Diffusion: what a UNet does, and a condition in pixels in; what to add inside a UNet out.

Letters: B batch, H height, W width, C channels of latents; S text positions, E width of the text; X and Y height and
width of the condition in pixels, K its channels.

It runs the way down and the middle of a UNet over the latents and the condition, each made to images of the first
level's width and added up. What every layer leaves, and what the middle gives, goes through a convolution of one
position that begins as zero, so that a new ControlNet changes nothing.

Source: Adding Conditional Control to Text-to-Image Diffusion Models (arXiv 2302.05543), and its published weights. The
time's embedding and norms are float32; the rest runs in `execution.dtype`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import zeros
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.unet.layers import NumberEmbedding, conv, linear
from mdctl.models.unet.modeling import Added, DownBlock, Image, MidBlock, embed
from mdctl.parallel.execution import Execution


class Residuals(NamedTuple):
    """What a UNet adds to what its way down leaves, in that order, and to what its middle gives."""

    down: list[Image]
    mid: Image


class ControlNet(nnx.Module):
    """Say what to add inside a UNet, so that what it predicts follows a condition."""

    def __init__(self, cfg: ControlNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.cfg, self.execution = cfg, execution
        unet, dims = cfg.unet, cfg.residual_dims
        first, added_dim = dims[0], unet.projection_class_embeddings_input_dim
        levels = range(len(unet.block_out_channels))
        self.time_embedding = NumberEmbedding(first, unet, execution=execution, rngs=rngs)
        # None where nothing is added to the time.
        self.add_embedding = NumberEmbedding(added_dim, unet, execution=execution, rngs=rngs) if added_dim else None
        self.conv_in = conv(unet.in_channels, first, execution, rngs)
        self.controlnet_cond_embedding = ConditionEmbedding(cfg, execution=execution, rngs=rngs)
        self.down_blocks = nnx.List([DownBlock(level, unet, execution=execution, rngs=rngs) for level in levels])
        self.mid_block = MidBlock(unet, execution=execution, rngs=rngs)
        self.controlnet_down_blocks = nnx.List([linear(dim, dim, execution, rngs, init=zeros) for dim in dims])
        self.controlnet_mid_block = linear(dims[-1], dims[-1], execution, rngs, init=zeros)

    def __call__(
        self,
        x: Float[Array, "B H W C"],
        time: Float[Array, " B"],
        text: Float[Array, "B S E"],
        condition: Float[Array, "B X Y K"],
        added: Added | None = None,
    ) -> Residuals:
        """Return what a UNet of the same config takes as `down_residuals` and `mid_residual`.

        Latents, time, text and `added` are those of the UNet. `condition` is in [0, 1], of 8 times the latents' height
        and width (`cfg.stride`).
        """
        size = (x.shape[1] * self.cfg.stride, x.shape[2] * self.cfg.stride)
        assert condition.shape[1:3] == size, (condition.shape, size)
        temb = embed(self.cfg.unet, self.time_embedding, self.add_embedding, time, added)
        text = self.execution.constrain(text.astype(self.execution.dtype), "batch", "text", None)
        x = self.conv_in(x) + self.controlnet_cond_embedding(condition)
        x = self.execution.constrain(x, "batch", None, None, None)
        left = [x]
        for down in self.down_blocks:
            x, more = down(x, temb, text)
            left += more
        x = self.mid_block(x, temb, text)
        residuals = [zero(skip) for zero, skip in zip(self.controlnet_down_blocks, left, strict=True)]
        return Residuals(residuals, self.controlnet_mid_block(x))


class ConditionEmbedding(nnx.Module):
    """Bring a picture down to the latents' height and width and the first level's channels."""

    def __init__(self, cfg: ControlNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        widths = cfg.conditioning_embedding_out_channels
        self.conv_in = conv(cfg.conditioning_channels, widths[0], execution, rngs)
        self.blocks: nnx.List[nnx.Conv] = nnx.List()
        for width, smaller in pairwise(widths):
            self.blocks.append(conv(width, width, execution, rngs))
            self.blocks.append(conv(width, smaller, execution, rngs, stride=2))
        self.conv_out = conv(widths[-1], cfg.residual_dims[0], execution, rngs, init=zeros)

    def __call__(self, condition: Float[Array, "B X Y K"]) -> Float[Array, "B H W C"]:
        """Apply to each picture."""
        x = jax.nn.silu(self.conv_in(self.execution.constrain(condition, "batch", None, None, None)))
        for block in self.blocks:
            x = jax.nn.silu(block(x))
        return self.conv_out(x)


def scaled(residuals: Residuals, scale: ArrayLike) -> Residuals:
    """Return residuals times a number: at 0 the condition counts for nothing, at 1 for what it was trained for."""
    *down, mid = [x * jnp.asarray(scale, x.dtype) for x in (*residuals.down, residuals.mid)]
    return Residuals(down, mid)


def combined(residuals: Sequence[Residuals]) -> Residuals:
    """Return the sum of what several ControlNets of one UNet say."""
    down, mid = residuals[0]
    for other in residuals[1:]:
        down, mid = [x + y for x, y in zip(down, other.down, strict=True)], mid + other.mid
    return Residuals(down, mid)
