"""What chance decides of one row of training: whether its clip is mirrored, where it is cut, which latents it has.

Each is a function of (seed, row) and of nothing else, drawn on the host by a generator of its own.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float32

from mdctl.data.framing import Corner
from mdctl.diffusion.randomness import host_noise
from mdctl.spec.shapes import LatentShape


class Use(IntEnum):
    """Draws of one row that must not meet. None is 0, which would leave them to meet those of two numbers alone."""

    MIRROR = 1
    CORNER = 2
    LATENTS = 3


def is_mirrored(seed: int, row: int) -> bool:
    """Return true for half of the rows."""
    return bool(_generator(seed, row, Use.MIRROR).random() < 0.5)


def corner(seed: int, row: int) -> Corner:
    """Return where the clip of a row is cut, uniform."""
    down, across = _generator(seed, row, Use.CORNER).random(2)
    return float(down), float(across)


def latent_noise(seed: int, row: int, shape: LatentShape) -> Float32[np.ndarray, "T H W C"]:
    """Return by how many standard deviations the latents of a row are off their mean, normal."""
    return host_noise(_words(seed, row, Use.LATENTS), shape)


def _generator(seed: int, row: int, use: Use) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(_words(seed, row, use))))


def _words(seed: int, row: int, use: Use) -> tuple[int, int, int, int]:
    """Return so many numbers below 2^32, which a longer one would be cut into."""
    return seed, row % 2**32, row >> 32, use
