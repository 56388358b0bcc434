"""Aspect-ratio buckets: a few sizes of about one area, so that no image loses more at its edges than it must.

From a central size of H x W pixels, with step s and maximal ratio R, the buckets are the central size and every h x w
of multiples of s with

    h w <= H W,    1/R <= w / h <= R                                      (1)

where h is the largest that its w allows, or w the largest that its h does. An image goes to the bucket whose
proportions are nearest to its own, which is where

    | log(w / h) - log(its width / its height) |                          (2)

is least; of two as near the one with more pixels, then the higher one. Whole numbers decide, so that no rounding does.
"""

from fractions import Fraction
from typing import Annotated, NamedTuple

from pydantic import Field

from mdctl.spec.part import Part


class Size(NamedTuple):
    """The size of a picture in pixels."""

    height: int
    width: int


class Buckets(Part):
    """Each image is trained on at that size, of several, whose proportions are nearest to its own.

    `{}` takes the defaults. No size has more pixels than `video.height` x `video.width`, which is one of them. A batch
    holds images of one size, and the training step is compiled once for each. Held-out images are taken at
    `video.height` x `video.width`.
    """

    step: Annotated[int, Field(ge=1, le=1024)] = 64
    """Heights and widths are multiples of this, and this one of the pixels that a position of the network spans."""
    max_ratio: Annotated[float, Field(ge=1, le=16)] = 2.0
    """Of the longer side to the shorter; what an image has beyond is cut off."""

    def sizes(self, central: Size) -> tuple[Size, ...]:
        """Return the buckets of (1), from the highest to the widest."""
        area, longest = central.height * central.width, Fraction(self.max_ratio)
        sides = range(self.step, area // self.step + 1, self.step)
        fitting = [(side, area // side // self.step * self.step) for side in sides]
        sizes = {central, *(Size(*pair) for one, other in fitting for pair in ((one, other), (other, one)) if other)}
        kept = [size for size in sizes if size == central or max(size) <= longest * min(size)]
        return tuple(sorted(kept, key=lambda size: (Fraction(size.width, size.height), size.height)))


def nearest(image: Size, sizes: tuple[Size, ...]) -> Size:
    """Return the size whose proportions are nearest to an image's, by (2)."""

    def distance(size: Size) -> tuple[Fraction, int, int]:
        ratio = Fraction(size.width * image.height, size.height * image.width)
        # exp of (2); the logarithm itself would be rounded.
        return max(ratio, 1 / ratio), -size.height * size.width, -size.height

    return min(sizes, key=distance)
