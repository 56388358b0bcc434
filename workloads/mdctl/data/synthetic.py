"""The `synthetic` data set: noise of the right shapes, so that a step can be timed without any data.

Example i of a seed is the same on every host and in every run. Without a number of examples, every row is new.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np

from mdctl.data.dataset import Dataset, Example
from mdctl.data.order import Order
from mdctl.spec.shapes import LatentShape

TRAINING, HELD_OUT = 0, 1


@dataclass(frozen=True, kw_only=True)
class SyntheticShape:
    """The shape of an example: latents (of the overridden height, width and frames), and each conditioning array.

    `dropped` names those that are zero where the caption is dropped; the others stay. None is all of them.
    """

    latents: LatentShape
    conditioning: Mapping[str, tuple[int, ...]]
    dropped: Set[str] | None = None


def synthetic_dataset(shape: SyntheticShape, *, num_samples: int | None, seed: int, num_held_out: int = 0) -> Dataset:
    """Return a data set of `num_samples` examples, or of endlessly many (None)."""
    return Dataset(
        order=Order(num_samples, seed),
        load=lambda index, row: draw(shape, (seed, TRAINING, index)),
        dropped={
            name: np.zeros(dims, np.float32)
            for name, dims in shape.conditioning.items()
            if shape.dropped is None or name in shape.dropped
        },
        num_held_out=num_held_out,
        load_held_out=lambda index: draw(shape, (seed, HELD_OUT, index)),
    )


def draw(shape: SyntheticShape, key: tuple[int, int, int]) -> Example:
    """Return standard normal latents and conditioning, a function of `key`."""
    normal = np.random.default_rng(key)
    return {
        "latents": normal.standard_normal(shape.latents, np.float32),
        "conditioning": {
            name: normal.standard_normal(dims, np.float32) for name, dims in sorted(shape.conditioning.items())
        },
    }
