"""Which example stands in which row: a function of integers, so that nothing about it needs saving.

Training sees one infinite sequence of rows. Row r = e N + i of a data set of N examples belongs to epoch e, and

    example(r) = permutation(seed, e)[i]                                  (1)
    global batch k of size B = rows k B .. (k+1) B                        (2)

Every host derives the same sequence and takes its own positions of each batch, so that the number of hosts does not
show in the order. A resumed run starts at any k: (1) costs one permutation per epoch, of which the last few are kept.
(Grain's index shuffle would need no memory, but walks cycles of 2^16 for each row of a small data set.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64


@dataclass(frozen=True)
class Order:
    """The order of `num_examples` examples, or of endlessly many new ones (None) in sequence; seed >= 0."""

    num_examples: int | None
    seed: int

    def __post_init__(self) -> None:
        assert self.num_examples is None or self.num_examples > 0, self

    def example(self, row: int) -> int:
        """Return the index of the example in `row`, by (1)."""
        if self.num_examples is None:
            return row
        epoch, place = divmod(row, self.num_examples)
        return int(_permutation(self.num_examples, self.seed, epoch)[place])


def batch_rows(step: int, global_batch: int, positions: Sequence[int]) -> list[int]:
    """Return the rows at `positions` (each in [0, global_batch)) of global batch `step`, by (2)."""
    assert all(0 <= position < global_batch for position in positions), (positions, global_batch)
    return [step * global_batch + position for position in positions]


@lru_cache(maxsize=8)
def _permutation(num_examples: int, seed: int, epoch: int) -> Int64[np.ndarray, " N"]:
    return np.random.default_rng((seed, epoch)).permutation(num_examples)
