"""Which example stands in which row: a function of integers, so that nothing about it needs saving.

Training sees one infinite sequence of rows. Row r = e N + i of a data set of N examples belongs to epoch e, and

    example(r) = permutation(seed, e)[i]                                  (1)
    global batch k of size B = rows k B .. (k+1) B                        (2)

Every host derives the same sequence and takes its own positions of each batch, so that the number of hosts does not
show in the order. Grain's index shuffle answers (1) in constant time and memory: a resumed run starts at any k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import grain

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Order:
    """The order of `num_examples` examples, or of endlessly many new ones (None) in sequence; seed in [0, 2^32)."""

    num_examples: int | None
    seed: int

    def __post_init__(self) -> None:
        assert self.num_examples is None or self.num_examples > 0, self
        assert 0 <= self.seed <= MAX_SEED, self

    def example(self, row: int) -> int:
        """Return the index of the example in `row`, by (1)."""
        return row if self.num_examples is None else int(self._permutations[row])

    @cached_property
    def _permutations(self) -> grain.MapDataset[int]:
        assert self.num_examples is not None
        return grain.MapDataset.range(self.num_examples).seed(self.seed).shuffle().repeat()


def batch_rows(step: int, global_batch: int, positions: Sequence[int]) -> list[int]:
    """Return the rows at `positions` (each in [0, global_batch)) of global batch `step`, by (2)."""
    assert all(0 <= position < global_batch for position in positions), (positions, global_batch)
    return [step * global_batch + position for position in positions]
