"""What a ControlNet is told of each picture that it is trained on, computed from the pixels that are trained on.

So it is mirrored and cut as they are. It is kept as bytes, and given as numbers in [0, 1].

Letters: X height and Y width of a picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float32, UInt8

from mdctl.data.canny import canny

Shown = UInt8[np.ndarray, "X Y 3"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A picture made from another; `name` is that in the conditioning, `fingerprint` all that decides how it looks."""

    name: str
    fingerprint: str
    make: Callable[[Shown], Shown]


def edges(name: str, low: int, high: int) -> Condition:
    """Return the edges of a picture."""
    return Condition(name=name, fingerprint=f"canny {low} {high}", make=partial(edges_of, low=low, high=high))


def edges_of(picture: Shown, low: int, high: int) -> Shown:
    """Return the edges of a picture, white on black."""
    found = canny(picture, low, high)
    return np.repeat(found[..., None], 3, axis=-1)


def as_numbers(picture: Shown) -> Float32[np.ndarray, "X Y 3"]:
    """Map bytes to [0, 1]."""
    return picture.astype(np.float32) / np.float32(255)
