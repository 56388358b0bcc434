"""A causal block PCA: the best linear codec of its strides, fitted in closed form.

The first frame is cut into blocks of 1 x 8 x 8 pixels, the others into blocks of 4 x 8 x 8 (where a latent spans one
frame, as in a codec of pictures, all blocks are of one kind, and so are both matrices). With a block as a vector x,
the mean m of such blocks, and as columns of P the first eigenvectors of their covariance,

    z = P^T (x - m) / s            (1)  encode
    x' = P z s + m                 (2)  decode

where s, the same for both kinds of block, is one scale that gives all latents together unit variance: P is orthonormal,
and a distance between latents is a distance between pixels, times s. Or s is a scale for each channel, and each channel
has unit variance (whitened): a denoiser learns the later channels as well, which noise otherwise drowns.

Letters: B videos, T frames, H height, W width; t h w the same of latents; C channels; X values of a block.
"""

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from mdctl.models.block_pca.config import BlockPCAConfig
from mdctl.spec.shapes import Strides

FLAT = 1e-3
"""The least scale of a channel, of the largest."""


class BlockPCA(nnx.Module):
    """Pixels to latents and back by one matrix per kind of block, in float32; empty until `fit` or `load` fills it."""

    def __init__(self, cfg: BlockPCAConfig) -> None:
        self.cfg = cfg
        block = 3 * cfg.spatial_stride**2
        self.first = Basis(block, cfg.latent_channels)
        self.rest = Basis(cfg.temporal_stride * block, cfg.latent_channels)
        self.scale = nnx.Param(jnp.ones((cfg.latent_channels,), jnp.float32))

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans."""
        return self.cfg.strides

    @property
    def channels(self) -> int:
        """Return the channels of a latent."""
        return self.cfg.latent_channels

    def to_latents(self, pixels_BTHWC: Float[Array, "B T H W 3"]) -> Float[Array, "B t h w C"]:
        """Encode by (1); T is 1 + 4n."""
        first, rest = cut(pixels_BTHWC.astype(jnp.float32), self.strides)
        latents = jnp.concatenate([self.first.project(first), self.rest.project(rest)], axis=1)
        return latents / self.scale[...][None, None, None, None]

    def to_pixels(self, latents_BTHWC: Float[Array, "B t h w C"]) -> Float[Array, "B T H W 3"]:
        """Decode by (2)."""
        latents = latents_BTHWC.astype(jnp.float32) * self.scale[...][None, None, None, None]
        return paste(self.first.rebuild(latents[:, :1]), self.rest.rebuild(latents[:, 1:]), self.strides)


class Basis(nnx.Module):
    """The mean of one kind of block and the directions in which such blocks differ most, as columns."""

    def __init__(self, num_values: int, channels: int) -> None:
        self.mean = nnx.Param(jnp.zeros((num_values,), jnp.float32))
        self.directions = nnx.Param(jnp.zeros((num_values, channels), jnp.float32))

    def project(self, blocks: Float[Array, "B t h w X"]) -> Float[Array, "B t h w C"]:
        """Return the coordinates of blocks, not yet scaled."""
        return (blocks - self.mean[...][None, None, None, None]) @ self.directions[...]

    def rebuild(self, coordinates: Float[Array, "B t h w C"]) -> Float[Array, "B t h w X"]:
        """Return the blocks nearest to what had these coordinates."""
        return coordinates @ self.directions[...].T + self.mean[...][None, None, None, None]


def fit(clips_NTHWC: Float[np.ndarray, "N T H W 3"], cfg: BlockPCAConfig, *, whiten: bool = False) -> BlockPCA:
    """Fit a codec to clips in [-1, 1], all of one shape with T = 1 + 4n > 1; the same clips give the same codec.

    `whiten` gives each channel a scale of its own. With a temporal stride of 1, T may be 1 as well.
    """
    kinds = [rearrange(blocks, "n t h w x -> (n t h w) x") for blocks in cut(clips_NTHWC, cfg.strides)]
    if cfg.temporal_stride == 1:
        kinds = [np.concatenate(kinds)] * 2
    bases = [principal(blocks.astype(np.float64), cfg.latent_channels) for blocks in kinds]
    latents = np.concatenate([(blocks - mean) @ basis for blocks, (mean, basis) in zip(kinds, bases, strict=True)])
    model = BlockPCA(cfg)
    for basis, (mean, directions) in zip((model.first, model.rest), bases, strict=True):
        basis.mean[...], basis.directions[...] = jnp.asarray(mean, jnp.float32), jnp.asarray(directions, jnp.float32)
    scale = each(latents) if whiten else np.full(cfg.latent_channels, latents.std())
    model.scale[...] = jnp.asarray(scale, jnp.float32)
    return model


def each(latents: Float[np.ndarray, "R C"]) -> Float[np.ndarray, " C"]:
    """Return the scale of each channel; what hardly varies keeps a scale that it stays small by."""
    loudness = latents.std(axis=0)
    scales: np.ndarray = np.maximum(loudness, FLAT * loudness.max())
    return scales


def principal(rows: Float[np.ndarray, "R X"], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean [X] of rows and their first principal directions [X, count], largest entry positive."""
    mean = rows.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(rows, rowvar=False, bias=True))
    directions = vectors[:, ::-1][:, :count]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return mean, directions * np.sign(largest)


def cut[Pixels: (jax.Array, np.ndarray)](pixels_BTHWC: Pixels, strides: Strides) -> tuple[Pixels, Pixels]:
    """Return the blocks of the first frame [B, 1, h, w, X] and those of the others [B, t - 1, h, w, X']."""
    pattern = "b (t dt) (h dh) (w dw) c -> b t h w (dt dh dw c)"
    sides = {"dh": strides.height, "dw": strides.width}
    first = rearrange(pixels_BTHWC[:, :1], pattern, dt=1, **sides)
    return first, rearrange(pixels_BTHWC[:, 1:], pattern, dt=strides.temporal, **sides)


def paste(
    first: Float[Array, "B 1 h w X"], rest: Float[Array, "B _t h w _X"], strides: Strides
) -> Float[Array, "B T H W 3"]:
    """Undo `cut`."""
    pattern = "b t h w (dt dh dw c) -> b (t dt) (h dh) (w dw) c"
    sides = {"dh": strides.height, "dw": strides.width}
    frames = [rearrange(first, pattern, dt=1, **sides), rearrange(rest, pattern, dt=strides.temporal, **sides)]
    return jnp.concatenate(frames, axis=1)
