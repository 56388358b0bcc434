"""Layers of the UNet that work on images: residual blocks, changes of size, and the embedding of numbers.

Letters: B batch, H height, W width, C channels going in, O channels coming out, D width of the time's embedding,
G groups, F frequencies. With t the time's embedding, a residual block is

    h = conv1(silu(norm1(x))) + time_emb_proj(silu(t))                        (1)
    y = shortcut(x) + conv2(silu(norm2(h)))                                   (2)

where the shortcut is x itself if the channels stay. Norms, silu and all that is made of the time are float32, the
convolutions `execution.dtype`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange, reduce, repeat
from flax import nnx
from jax.nn.initializers import Initializer, ones, variance_scaling, zeros
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32

from mdctl.models.unet.config import UNetConfig
from mdctl.parallel.execution import Execution

MAX_PERIOD = 10_000.0
"""The longest period of a sinusoid, over 2π."""

fan_in_uniform = variance_scaling(1 / 3, "fan_in", "uniform")
"""Within ±1 / sqrt(fan in)."""


class ResnetBlock(nnx.Module):
    """Two convolutions beside a shortcut, the time's embedding added between them: (1), (2)."""

    def __init__(self, in_dim: int, out_dim: int, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        self.norm1 = GroupNorm(in_dim, cfg.norm_num_groups, cfg.norm_eps, execution=execution, rngs=rngs)
        self.conv1 = conv(in_dim, out_dim, execution, rngs)
        self.time_emb_proj = linear(cfg.time_dim, out_dim, execution, rngs, dtype=jnp.float32)
        self.norm2 = GroupNorm(out_dim, cfg.norm_num_groups, cfg.norm_eps, execution=execution, rngs=rngs)
        self.conv2 = conv(out_dim, out_dim, execution, rngs, init=zeros)
        # None where the width stays: the shortcut is then the input itself.
        self.conv_shortcut = None if in_dim == out_dim else linear(in_dim, out_dim, execution, rngs)

    def __call__(self, x: Float[Array, "B H W C"], temb: Float32[Array, "B D"]) -> Float[Array, "B H W O"]:
        """Apply the block; `temb` is the time's embedding, before its activation."""
        h = self.conv1(jax.nn.silu(self.norm1(x))).astype(jnp.float32)
        h = h + rearrange(self.time_emb_proj(jax.nn.silu(temb)), "b o -> b 1 1 o")
        h = self.conv2(jax.nn.silu(self.norm2(h)))
        shortcut = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return self.execution.constrain(shortcut + h, "batch", None, None, None)


class Downsample(nnx.Module):
    """Halve height and width, rounding up."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        self.conv = conv(dim, dim, execution, rngs, stride=2)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B _h _w C"]:
        """Apply to each image."""
        return self.execution.constrain(self.conv(x), "batch", None, None, None)


class Upsample(nnx.Module):
    """Double height and width, or less one of either, by repetition; then a convolution."""

    def __init__(self, dim: int, *, execution: Execution, rngs: nnx.Rngs):
        self.execution = execution
        self.conv = conv(dim, dim, execution, rngs)

    def __call__(self, x: Float[Array, "B H W C"], height: int, width: int) -> Float[Array, "B _h _w C"]:
        """Return images of this size, which is that of the level above."""
        x = repeat(x, "b h w c -> b (h up) (w across) c", up=2, across=2)[:, :height, :width]
        return self.execution.constrain(self.conv(x), "batch", None, None, None)


class NumberEmbedding(nnx.Module):
    """Two layers, from numbers or what is made of them to the time's embedding, in float32 throughout."""

    def __init__(self, in_dim: int, cfg: UNetConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.linear_1 = linear(in_dim, cfg.time_dim, execution, rngs, dtype=jnp.float32)
        self.linear_2 = linear(cfg.time_dim, cfg.time_dim, execution, rngs, dtype=jnp.float32)

    def __call__(self, x: Float32[Array, "B F"]) -> Float32[Array, "B D"]:
        """Return one vector for each row."""
        return self.linear_2(jax.nn.silu(self.linear_1(x)))


class GroupNorm(nnx.Module):
    """Normalise the channels of a group and all positions together, with gain and bias; float32."""

    def __init__(self, dim: int, num_groups: int, eps: float, *, execution: Execution, rngs: nnx.Rngs):
        self.num_groups, self.eps = num_groups, eps
        self.scale = nnx.Param(ones(rngs.params(), (dim,), execution.param_dtype))
        self.bias = nnx.Param(zeros(rngs.params(), (dim,), execution.param_dtype))

    def __call__(self, x: Float[Array, "B H W C"]) -> Float32[Array, "B H W C"]:
        """Normalise each image by itself."""
        scale, bias = (w[...].astype(jnp.float32)[None, None, None] for w in (self.scale, self.bias))
        return group_norm(x, self.num_groups, self.eps) * scale + bias


def group_norm(x: Float[Array, "B H W C"], num_groups: int, eps: float) -> Float32[Array, "B H W C"]:
    """Normalise each group of an image to mean 0 and variance 1, in float32."""
    x = x.astype(jnp.float32)
    x = x - _mean_of_groups(x, num_groups)
    return x * jax.lax.rsqrt(_mean_of_groups(jnp.square(x), num_groups) + eps)


def _mean_of_groups(x: Float32[Array, "B H W C"], num_groups: int) -> Float32[Array, "B 1 1 C"]:
    """Return for each channel the mean over its group: over positions first, which leaves channels side by side."""
    mean_BG = reduce(jnp.mean(x, axis=(1, 2)), "b (g c) -> b g", "mean", g=num_groups)
    return repeat(mean_BG, "b g -> b 1 1 (g c)", c=x.shape[-1] // num_groups)


def sinusoids(numbers: Float[Array, " B"], dim: int) -> Float32[Array, "B F"]:
    """Return cosines, then sines, of numbers at `dim` / 2 frequencies from 1 down to almost 1 / MAX_PERIOD."""
    half = dim // 2
    frequencies = np.exp(-np.log(np.float32(MAX_PERIOD)) * np.arange(half, dtype=np.float32) / np.float32(half))
    angles_BF = numbers.astype(jnp.float32)[:, None] * jnp.asarray(frequencies)[None]
    return jnp.concatenate([jnp.cos(angles_BF), jnp.sin(angles_BF)], axis=-1)


def conv(
    in_dim: int,
    out_dim: int,
    execution: Execution,
    rngs: nnx.Rngs,
    *,
    stride: int = 1,
    init: Initializer = fan_in_uniform,
    dtype: DTypeLike | None = None,
) -> nnx.Conv:
    """Create a convolution of 3 x 3 that pads by one, in the activations' dtype unless told otherwise."""
    return nnx.Conv(
        in_dim,
        out_dim,
        (3, 3),
        stride,
        padding=1,
        kernel_init=init,
        dtype=dtype or execution.dtype,
        param_dtype=execution.param_dtype,
        rngs=rngs,
    )


def linear(
    in_dim: int,
    out_dim: int,
    execution: Execution,
    rngs: nnx.Rngs,
    *,
    use_bias: bool = True,
    init: Initializer = fan_in_uniform,
    dtype: DTypeLike | None = None,
) -> nnx.Linear:
    """Create a linear layer, or a convolution of one position by itself: the same product."""
    return nnx.Linear(
        in_dim,
        out_dim,
        use_bias=use_bias,
        kernel_init=init,
        dtype=dtype or execution.dtype,
        param_dtype=execution.param_dtype,
        rngs=rngs,
    )
