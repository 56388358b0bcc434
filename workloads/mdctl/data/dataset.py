"""The data set as the training loop takes it: examples by index, in an order, as batches of one host.

    data.batches(start_step, global_batch, positions) -> Batch, Batch, ...

`positions` are the rows of each global batch that this host's devices hold; the loop reads them off the sharding of
the batch. Batches are loaded ahead on threads and hold no state but integers: starting at step k gives what running
up to step k would have given.

Dimensions: B rows of this host, T H W C the latent video, and whatever the model family's conditioning has. All of a
global batch is of one shape; where images are in buckets, the next batch may be of another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import grain
import numpy as np
from jaxtyping import Float32, UInt32

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.data.halved_order import HalvedOrder
from mdctl.data.order import Order, batch_rows

Conditioning = Mapping[str, Float32[np.ndarray, "..."]]

NUM_BATCHES_AHEAD = 4
NUM_THREADS = 2


class Example(TypedDict):
    """One clip as the model sees it."""

    latents: Float32[np.ndarray, "T H W C"]
    conditioning: Conditioning


class Batch(TypedDict):
    """Examples stacked, and the row of each in the infinite sequence (modulo 2^32): the key of its randomness."""

    latents: Float32[np.ndarray, "B T H W C"]
    conditioning: Conditioning
    rows: UInt32[np.ndarray, " B"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Examples to train on, examples held out, and the conditioning that caption dropout puts in place.

    `load(i, row)` gives example i as it is trained on in `row`, 0 <= i < order.num_examples; `load_held_out(i)` answers
    for 0 <= i < num_held_out; both are called from several threads. `dropped` is the conditioning of the empty caption,
    without a batch dimension.
    """

    order: Order | BucketedOrder | HalvedOrder
    load: Callable[[int, int], Example]
    dropped: Conditioning
    num_held_out: int = 0
    load_held_out: Callable[[int], Example] | None = None

    def batches(self, start_step: int, global_batch: int, positions: Sequence[int]) -> Iterator[Batch]:
        """Yield this host's part of the global batches start_step, start_step + 1, ... without end."""

        def load_batch(num_after: int) -> Batch:
            rows = batch_rows(start_step + num_after, global_batch, positions)
            return stack([self.load(self.order.example(row), row) for row in rows], rows)

        steps = grain.MapDataset.range(2**62).map(load_batch)
        ahead = grain.ReadOptions(num_threads=NUM_THREADS, prefetch_buffer_size=NUM_BATCHES_AHEAD)
        return iter(steps.to_iter_dataset(ahead))

    def held_out_batch(self, rows: Sequence[int]) -> Batch:
        """Return held-out examples, the same for every step of training."""
        assert self.load_held_out is not None, "nothing is held out"
        return stack([self.load_held_out(row) for row in rows], rows)


def stack(examples: Sequence[Example], rows: Sequence[int]) -> Batch:
    """Put examples under one batch dimension."""
    conditioning = [example["conditioning"] for example in examples]
    return {
        "latents": np.stack([example["latents"] for example in examples]),
        "conditioning": {name: np.stack([each[name] for each in conditioning]) for name in conditioning[0]},
        "rows": np.array([row % 2**32 for row in rows], np.uint32),
    }
