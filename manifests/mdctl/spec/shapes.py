"""Video arithmetic as types: pixels -> latents -> patches -> tokens.

A causal video VAE keeps the first frame by itself and compresses the others `temporal` to one, so with stride r

    latent frames = (frames - 1) / r + 1        frames = (latent frames - 1) r + 1        (1)

which is written here and nowhere else.
"""

from typing import NamedTuple


class Strides(NamedTuple):
    """How many pixels one latent (or one patch) spans along time, height and width."""

    temporal: int
    height: int
    width: int


class PixelShape(NamedTuple):
    """A video in pixels; an image has one frame."""

    frames: int
    height: int
    width: int

    def latent(self, strides: Strides, channels: int) -> "LatentShape":
        """Return the shape after a causal VAE, by (1); the shape must fit its strides."""
        assert (self.frames - 1) % strides.temporal == 0, (self, strides)
        assert self.height % strides.height == 0, (self, strides)
        assert self.width % strides.width == 0, (self, strides)
        frames = (self.frames - 1) // strides.temporal + 1
        return LatentShape(frames, self.height // strides.height, self.width // strides.width, channels)


class LatentShape(NamedTuple):
    """A video in latents, channels last."""

    frames: int
    height: int
    width: int
    channels: int

    def pixels(self, strides: Strides) -> PixelShape:
        """Return the video that a causal VAE decodes this to, by (1)."""
        frames = (self.frames - 1) * strides.temporal + 1
        return PixelShape(frames, self.height * strides.height, self.width * strides.width)

    def patches(self, patch: Strides) -> "PatchGrid":
        """Return the grid of patches that a transformer sees."""
        assert not any(
            size % stride for size, stride in zip((self.frames, self.height, self.width), patch, strict=True)
        ), (self, patch)
        return PatchGrid(self.frames // patch.temporal, self.height // patch.height, self.width // patch.width)


class PatchGrid(NamedTuple):
    """Patches along time, height and width."""

    frames: int
    height: int
    width: int

    @property
    def tokens(self) -> int:
        """Return the length of the sequence."""
        return self.frames * self.height * self.width
