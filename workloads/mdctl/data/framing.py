"""Which part of a picture is seen, and at which scale: what some image models are told of each picture (SDXL).

A picture of H x W pixels is scaled by the least factor that lets it cover the h x w pixels that are wanted,

    1 / s,    s = min(H / h, W / w)                                       (1)

and of the scaled picture, H / s x W / s, a part of h x w is taken that begins so many pixels from its top and left:

    half of what is too much                                     centred   (2)
    a whole number from 0 to what is too much, each as likely      drawn   (3)

A picture that is to be mirrored is so first: its crop is measured in the mirrored picture, as SDXL's training measures
it, so that mirroring a centred picture leaves its framing as it was.

Source: SDXL (arXiv 2307.01952, section 2.2).
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import floor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from mdctl.spec.buckets import Size


class Offset(NamedTuple):
    """Pixels from the top and the left edge."""

    top: int
    left: int


Corner = tuple[float, float]
"""Where a crop lies, each in [0, 1): 0 at the top and left edge, nearly 1 at the bottom and right."""


class Framing(NamedTuple):
    """The picture's own size, where in the scaled picture its part begins, and the size of that part."""

    original: Size
    crop: Offset
    target: Size


Framed = Callable[[Framing], Mapping[str, Float32[np.ndarray, "..."]]]
"""What a model is told of a framing: arrays of one sample's conditioning."""


def framed(original: Size, target: Size, corner: Corner | None = None) -> Framing:
    """Return the framing of a picture, centred by (2) to the nearest pixel, or drawn by (3) where a corner is given."""
    top, left = surplus(original, target)
    if corner is None:
        return Framing(original, Offset(round(top / 2), round(left / 2)), target)
    down, across = corner
    return Framing(original, Offset(floor(down * (floor(top) + 1)), floor(across * (floor(left) + 1))), target)


def surplus(original: Size, target: Size) -> tuple[Fraction, Fraction]:
    """Return by how many pixels the scaled picture is higher and wider than the target; one of both is 0."""
    scale = min(Fraction(original.height, target.height), Fraction(original.width, target.width))
    return original.height / scale - target.height, original.width / scale - target.width


def neutral(size: Size) -> Framing:
    """Return the framing of a picture that has the wanted size already."""
    return Framing(size, Offset(0, 0), size)
