"""Which example stands in which row where a batch must hold examples of one bucket: a function of integers as well.

Bucket b of n_b examples is an endless sequence by itself, epoch after epoch, each a permutation of its examples; cut
into batches of B, its j-th batch is

    place i of the sequence, j B <= i < (j + 1) B,    example = permutation(seed, i // n_b, b)[i mod n_b]    (1)

Epoch e of the whole takes from every bucket the batches that the bucket's first e + 1 epochs fill and its first e do
not, and shuffles them by (seed, e):

    first step of epoch e = sum over b of floor(e n_b / B)                (2)

So what does not fill a batch is carried over into the next epoch and nothing is ever left out: after e epochs each
example has been seen e times, but for less than a batch of each bucket. A bucket smaller than a batch has one every few
epochs, in which its examples come several times.

Which bucket a step has, and what its batch holds, follows from the step and needs nothing that came before.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from jaxtyping import Int64

from mdctl.spec.buckets import Size


@dataclass(frozen=True)
class BucketedOrder:
    """The order of examples in buckets, by their sizes; none is empty, and each example is in one."""

    buckets: Mapping[Size, Sequence[int]]
    seed: int
    global_batch: int

    def __post_init__(self) -> None:
        assert self.buckets, self
        assert all(self._counts), self

    @property
    def num_examples(self) -> int:
        """Return how many examples there are."""
        return sum(self._counts)

    def example(self, row: int) -> int:
        """Return the index of the example in `row`, by (1)."""
        step, position = divmod(row, self.global_batch)
        bucket, number = self.batch(step)
        members = tuple(self.buckets.values())[bucket]
        epoch, place = divmod(number * self.global_batch + position, len(members))
        return members[int(_permutation(len(members), self.seed, epoch, bucket)[place])]

    def batch(self, step: int) -> tuple[int, int]:
        """Return which bucket a step has, and which of the bucket's batches."""
        return _batch(self._counts, self.global_batch, self.seed, step)

    def first_step(self, epoch: int) -> int:
        """Return (2)."""
        return _first_step(self._counts, self.global_batch, epoch)

    @property
    def _counts(self) -> tuple[int, ...]:
        return tuple(map(len, self.buckets.values()))


@lru_cache(maxsize=64)
def _batch(counts: tuple[int, ...], global_batch: int, seed: int, step: int) -> tuple[int, int]:
    epoch = _epoch(counts, global_batch, step)
    bucket, number = _shuffled(counts, global_batch, seed, epoch)[step - _first_step(counts, global_batch, epoch)]
    return int(bucket), int(number)


def _epoch(counts: tuple[int, ...], global_batch: int, step: int) -> int:
    """Return the last epoch that has begun: (2) is the rows of e epochs, but for less than a batch of each bucket."""
    num_rows = sum(counts)
    low, high = step * global_batch // num_rows, (step + len(counts)) * global_batch // num_rows + 1
    later = bisect_right(range(low, high + 1), step, key=partial(_first_step, counts, global_batch))
    return low + later - 1


def _first_step(counts: tuple[int, ...], global_batch: int, epoch: int) -> int:
    return sum(epoch * count // global_batch for count in counts)


@lru_cache(maxsize=8)
def _shuffled(counts: tuple[int, ...], global_batch: int, seed: int, epoch: int) -> Int64[np.ndarray, "S 2"]:
    """Return the (bucket, number of its batch) of each step of an epoch."""
    batches = [
        (bucket, number)
        for bucket, count in enumerate(counts)
        for number in range(epoch * count // global_batch, (epoch + 1) * count // global_batch)
    ]
    return np.random.default_rng((seed, epoch)).permutation(np.array(batches, np.int64).reshape(-1, 2))


@lru_cache(maxsize=64)
def _permutation(num_examples: int, seed: int, epoch: int, bucket: int) -> Int64[np.ndarray, " N"]:
    # Not 0, which would make it the generator of (seed, epoch).
    return np.random.default_rng((seed, epoch, 1 + bucket)).permutation(num_examples)
