"""Layers of the image VAE. Letters: B batch, H height, W width, C channels; activations are channels last."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from flax import nnx
from jaxtyping import Array, Float

from mdctl.parallel.execution import Execution

Image = Float[Array, "B _H _W _C"]

EPS = 1e-6


class ResidualBlock(nnx.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, in_dim: int, out_dim: int, groups: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.norm1 = GroupNorm(in_dim, groups, execution=execution)
        self.conv1 = conv_3x3(in_dim, out_dim, execution=execution, rngs=rngs)
        self.norm2 = GroupNorm(out_dim, groups, execution=execution)
        self.conv2 = conv_3x3(out_dim, out_dim, execution=execution, rngs=rngs)
        # None where the width stays: the shortcut is then the input itself.
        self.conv_shortcut = None if in_dim == out_dim else pointwise(in_dim, out_dim, execution=execution, rngs=rngs)

    def __call__(self, x: Image) -> Image:
        """Keep height and width."""
        h = self.conv1(nnx.silu(self.norm1(x)))
        h = self.conv2(nnx.silu(self.norm2(h)))
        shortcut = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return shortcut + h


class MidBlock(nnx.Module):
    """Attention between two residual blocks, at the deepest level."""

    def __init__(self, dim: int, groups: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.resnets = nnx.List([ResidualBlock(dim, dim, groups, execution=execution, rngs=rngs) for _ in range(2)])
        self.attention = ImageAttention(dim, groups, execution=execution, rngs=rngs)

    def __call__(self, x: Image) -> Image:
        """Keep height and width."""
        x = self.resnets[0](x)
        x = self.attention(x)
        return self.resnets[1](x)


class DownBlock(nnx.Module):
    """A level of the encoder: residual blocks from each of `dims` to the next; then half the height and width.

    The last level keeps them.
    """

    def __init__(self, dims: list[int], groups: int, *, downsample: bool, execution: Execution, rngs: nnx.Rngs) -> None:
        self.resnets = nnx.List(residual_blocks(dims, groups, execution=execution, rngs=rngs))
        # A row and a column of zeros stand after the image, none before it.
        self.downsampler = (
            nnx.Conv(
                *(dims[-1], dims[-1], (3, 3), (2, 2)),
                padding=((0, 1), (0, 1)),
                dtype=execution.dtype,
                param_dtype=execution.param_dtype,
                rngs=rngs,
            )
            if downsample
            else None
        )

    def __call__(self, x: Image) -> Image:
        """Halve even heights and widths."""
        for resnet in self.resnets:
            x = resnet(x)
        return x if self.downsampler is None else self.downsampler(x)


class UpBlock(nnx.Module):
    """A level of the decoder: residual blocks from each of `dims` to the next; then twice the height and width.

    The last level keeps them.
    """

    def __init__(self, dims: list[int], groups: int, *, upsample: bool, execution: Execution, rngs: nnx.Rngs) -> None:
        self.resnets = nnx.List(residual_blocks(dims, groups, execution=execution, rngs=rngs))
        self.upsampler = conv_3x3(dims[-1], dims[-1], execution=execution, rngs=rngs) if upsample else None

    def __call__(self, x: Image) -> Image:
        """Double height and width."""
        for resnet in self.resnets:
            x = resnet(x)
        return self.upsample(x)

    def upsample(self, x: Image) -> Image:
        """Repeat each position, then smooth; the last level leaves it at its size."""
        if self.upsampler is None:
            return x
        return self.upsampler(repeat(x, "b h w c -> b (h up) (w across) c", up=2, across=2))


class ImageAttention(nnx.Module):
    """Self-attention with one head among all positions."""

    def __init__(self, dim: int, groups: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.attend = execution.attention
        self.group_norm = GroupNorm(dim, groups, execution=execution)
        self.to_q, self.to_k, self.to_v = (pointwise(dim, dim, execution=execution, rngs=rngs) for _ in range(3))
        self.to_out = pointwise(dim, dim, execution=execution, rngs=rngs)

    def __call__(self, x: Image) -> Image:
        """Attend from each position to all, and add what was found."""
        h = rearrange(self.group_norm(x), "b h w c -> b (h w) 1 c")
        h = self.attend(self.to_q(h), self.to_k(h), self.to_v(h))
        return x + self.to_out(rearrange(h, "b (h w) 1 c -> b h w c", h=x.shape[1]))


class GroupNorm(nnx.Module):
    """Bring each group of channels of an image to mean 0 and variance 1; then a gain and a bias per channel.

    In float32; gives the dtype of activations.
    """

    def __init__(self, dim: int, groups: int, *, execution: Execution) -> None:
        self.groups, self.eps, self.dtype = groups, EPS, execution.dtype
        self.scale = nnx.Param(jnp.ones((dim,), execution.param_dtype))
        self.bias = nnx.Param(jnp.zeros((dim,), execution.param_dtype))

    def __call__(self, x: Image) -> Image:
        """Normalise each image by itself."""
        scale, bias = (rearrange(param[...].astype(jnp.float32), "c -> 1 1 1 c") for param in (self.scale, self.bias))
        grouped = rearrange(x.astype(jnp.float32), "b h w (g c) -> b h w g c", g=self.groups)
        grouped = grouped - jnp.mean(grouped, axis=(1, 2, 4), keepdims=True)
        variance = jnp.mean(jnp.square(grouped), axis=(1, 2, 4), keepdims=True)
        normed = rearrange(grouped * jax.lax.rsqrt(variance + self.eps), "b h w g c -> b h w (g c)")
        return (normed * scale + bias).astype(self.dtype)


def residual_blocks(dims: list[int], groups: int, *, execution: Execution, rngs: nnx.Rngs) -> list[ResidualBlock]:
    """Return blocks from each width to the next."""
    return [ResidualBlock(*pair, groups, execution=execution, rngs=rngs) for pair in pairwise(dims)]


def conv_3x3(in_dim: int, out_dim: int, *, execution: Execution, rngs: nnx.Rngs) -> nnx.Conv:
    """Return a convolution that keeps height and width."""
    dtype, param_dtype = execution.dtype, execution.param_dtype
    return nnx.Conv(in_dim, out_dim, (3, 3), padding=1, dtype=dtype, param_dtype=param_dtype, rngs=rngs)


def pointwise(in_dim: int, out_dim: int, *, execution: Execution, rngs: nnx.Rngs) -> nnx.Linear:
    """Return a convolution of one position by itself."""
    return nnx.Linear(in_dim, out_dim, dtype=execution.dtype, param_dtype=execution.param_dtype, rngs=rngs)
