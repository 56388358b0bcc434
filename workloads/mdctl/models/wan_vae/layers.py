"""Layers of the Wan 2.1 video VAE, each called as `layer(x, past) -> (x, past)`; modeling.py says what that means.

Letters: B batch, T frames, H height, W width, C channels.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax.numpy as jnp
from einops import rearrange, repeat
from flax import nnx
from jaxtyping import Array, Float

from mdctl.parallel.execution import Execution

Past = Any  # arrays a layer remembers: a pytree of one structure after every chunk; None before the first frame
Video = Float[Array, "B _T _H _W _C"]
Layer = Callable[[Video, Past], tuple[Video, Past]]


class ResidualBlock(nnx.Module):
    """Two causal convolutions beside a shortcut."""

    def __init__(self, in_dim: int, out_dim: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.norm1 = ChannelNorm(in_dim, execution=execution, rngs=rngs)
        self.conv1 = CausalConv(in_dim, out_dim, (3, 3, 3), execution=execution, rngs=rngs)
        self.norm2 = ChannelNorm(out_dim, execution=execution, rngs=rngs)
        self.conv2 = CausalConv(out_dim, out_dim, (3, 3, 3), execution=execution, rngs=rngs)
        # None where the width stays: the shortcut is then the input itself.
        self.conv_shortcut = None if in_dim == out_dim else pointwise(in_dim, out_dim, execution=execution, rngs=rngs)

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Remember what both convolutions remember."""
        past1, past2 = past or (None, None)
        h, past1 = self.conv1(nnx.silu(self.norm1(x)), past1)
        h, past2 = self.conv2(nnx.silu(self.norm2(h)), past2)
        shortcut = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return shortcut + h, (past1, past2)


class MidBlock(nnx.Module):
    """Attention between two residual blocks, at the deepest level."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.resnets = nnx.List([ResidualBlock(dim, dim, execution=execution, rngs=rngs) for _ in range(2)])
        self.attention = FrameAttention(dim, execution=execution, rngs=rngs)

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Remember what both residual blocks remember; attention never leaves its frame."""
        past1, past2 = past or (None, None)
        x, past1 = self.resnets[0](x, past1)
        x, past2 = self.resnets[1](self.attention(x), past2)
        return x, (past1, past2)


class UpBlock(nnx.Module):
    """A level of the decoder: residual blocks, then, but for the last level, upsampling."""

    def __init__(
        self,
        in_dim: int,
        dim: int,
        num_resnets: int,
        upsampler: "Upsample | None",
        *,
        execution: Execution,
        rngs: nnx.Rngs,
    ) -> None:
        dims = [in_dim] + [dim] * (num_resnets - 1)
        self.resnets = nnx.List([ResidualBlock(width, dim, execution=execution, rngs=rngs) for width in dims])
        self.upsampler = upsampler

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Remember what the layers remember."""
        layers = [*self.resnets] if self.upsampler is None else [*self.resnets, self.upsampler]
        return in_turn(layers, x, past)


class Downsample(nnx.Module):
    """Halve height and width, and time too if `temporal`."""

    def __init__(self, dim: int, *, temporal: bool, execution: Execution, rngs: nnx.Rngs) -> None:
        conv = partial(nnx.Conv, dim, dim, dtype=execution.dtype, param_dtype=execution.param_dtype, rngs=rngs)
        self.resample = conv((3, 3), (2, 2), padding=((0, 1), (0, 1)))
        self.time_conv = conv((3, 1, 1), (2, 1, 1), padding="VALID") if temporal else None

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Remember the last frame, at the new size; the first frame passes through time unchanged."""
        x = self.resample(x)
        if self.time_conv is None:
            return x, ()
        last = x[:, -1:]
        return (x, last) if past is None else (self.time_conv(jnp.concatenate([past, x], axis=1)), last)


class Upsample(nnx.Module):
    """Double height and width, and time too if `temporal`, while the width halves."""

    def __init__(self, dim: int, *, temporal: bool, execution: Execution, rngs: nnx.Rngs) -> None:
        self.time_conv = CausalConv(dim, 2 * dim, (3, 1, 1), execution=execution, rngs=rngs) if temporal else None
        self.resample = nnx.Conv(
            dim, dim // 2, (3, 3), padding=1, dtype=execution.dtype, param_dtype=execution.param_dtype, rngs=rngs
        )

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:
        """Remember what the convolution over time does; the first frame passes it by and is not remembered."""
        if self.time_conv is None:
            past = ()
        elif past is None:
            past = self.time_conv.zeros(x)
        else:
            x, past = self.time_conv(x, past)
            x = rearrange(x, "b t h w (two c) -> b (t two) h w c", two=2)
        return self.resample(repeat(x, "b t h w c -> b t (h up) (w across) c", up=2, across=2)), past


class FrameAttention(nnx.Module):
    """Self-attention with one head among the positions of each frame."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.attend = execution.attention
        self.norm = ChannelNorm(dim, execution=execution, rngs=rngs)
        self.to_qkv = pointwise(dim, 3 * dim, execution=execution, rngs=rngs)
        self.proj = pointwise(dim, dim, execution=execution, rngs=rngs)

    def __call__(self, x: Video) -> Video:
        """Attend within frames: nothing of the past is needed."""
        size = {"b": x.shape[0], "h": x.shape[2]}
        qkv = rearrange(self.to_qkv(self.norm(x)), "b t h w (three k) -> three (b t) (h w) 1 k", three=3)
        h = rearrange(self.attend(*qkv), "(b t) (h w) 1 k -> b t h w k", **size)
        return x + self.proj(h)


class CausalConv(nnx.Conv):
    """Convolution over time, height and width that keeps their sizes and sees no later frame."""

    def __init__(
        self, in_dim: int, out_dim: int, kernel: tuple[int, int, int], *, execution: Execution, rngs: nnx.Rngs
    ) -> None:
        super().__init__(
            in_dim,
            out_dim,
            kernel,
            padding=((0, 0), *((size // 2, size // 2) for size in kernel[1:])),
            dtype=execution.dtype,
            param_dtype=execution.param_dtype,
            rngs=rngs,
        )
        self.memory = kernel[0] - 1

    def __call__(self, x: Video, past: Past) -> tuple[Video, Past]:  # type: ignore[override] # every layer has a past
        """Remember as many frames of the input as the kernel reaches back; zeros stand before the first."""
        x = jnp.concatenate([self.zeros(x) if past is None else past, x], axis=1)
        return super().__call__(x), x[:, -self.memory :]

    def zeros(self, x: Video) -> Video:
        """Return what is remembered before the first frame."""
        before: Video = jnp.zeros((x.shape[0], self.memory, *x.shape[2:]), x.dtype)
        return before


class ChannelNorm(nnx.Module):
    """Scale the vector of channels to root mean square `gamma`, in float32; no epsilon but against zero."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.gamma = nnx.Param(jnp.ones((dim,), execution.param_dtype))

    def __call__(self, x: Video) -> Video:
        """Normalise each position by itself."""
        x32 = x.astype(jnp.float32)
        length = jnp.sqrt(jnp.sum(jnp.square(x32), axis=-1, keepdims=True))
        gain = rearrange(self.gamma[...].astype(jnp.float32), "c -> 1 1 1 1 c") * x.shape[-1] ** 0.5
        scaled: Video = x32 / jnp.maximum(length, 1e-12) * gain
        return scaled.astype(x.dtype)


def pointwise(in_dim: int, out_dim: int, *, execution: Execution, rngs: nnx.Rngs) -> nnx.Linear:
    """Return a convolution of one position by itself."""
    return nnx.Linear(in_dim, out_dim, dtype=execution.dtype, param_dtype=execution.param_dtype, rngs=rngs)


def in_turn(layers: Iterable[Layer], x: Video, pasts: Past) -> tuple[Video, Past]:
    """Call the layers one after another, each with its own past."""
    layers, remembered = list(layers), []
    for layer, past in zip(layers, pasts or [None] * len(layers), strict=True):
        x, remembers = layer(x, past)
        remembered.append(remembers)
    return x, tuple(remembered)
