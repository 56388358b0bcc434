"""Batches of two halves: which rows hold what, and that each half has epochs of its own."""

from itertools import islice

import numpy as np
import pytest

from mdctl.data.dataset import Dataset, Example
from mdctl.data.halved_order import HalvedOrder, is_prior
from mdctl.data.order import Order
from mdctl.data.prior import with_prior

NUM_SUBJECT, NUM_PRIOR = 3, 10
SEED = 5


def order(global_batch: int) -> HalvedOrder:
    return HalvedOrder(Order(NUM_SUBJECT, SEED), Order(NUM_PRIOR, SEED), global_batch)


def test_each_half_runs_through_its_own_epochs() -> None:
    halved = order(4)
    assert halved.num_examples == NUM_SUBJECT + NUM_PRIOR
    examples = np.array([halved.example(row) for row in range(4 * 15)]).reshape(15, 2, 2)
    subject, prior = examples[:, 0].ravel(), examples[:, 1].ravel() - NUM_SUBJECT
    assert subject.tolist() == [Order(NUM_SUBJECT, SEED).example(row) for row in range(30)]
    assert prior.tolist() == [Order(NUM_PRIOR, SEED).example(row) for row in range(30)]
    for epoch in subject.reshape(-1, NUM_SUBJECT):
        assert sorted(epoch) == list(range(NUM_SUBJECT))


@pytest.mark.parametrize("num_pieces", [1, 2, 3, 4, 6])
def test_every_piece_of_a_batch_has_as_many_of_both(num_pieces: int) -> None:
    for step in (0, 7):
        kinds = is_prior(np.arange(24 * step, 24 * (step + 1)), 24)
        assert kinds.sum() == 12
        for piece in range(num_pieces):
            assert kinds[piece::num_pieces].mean() == 0.5


@pytest.mark.parametrize("num_shards", [1, 2, 4, 8])
def test_batches_are_the_same_however_many_hosts_hold_them(num_shards: int) -> None:
    def example(kind: float, number: int, row: int) -> Example:
        return {"latents": np.full((1, 1, 1, 1), kind + number, np.float32), "conditioning": {}}

    def dataset(num: int, kind: float) -> Dataset:
        return Dataset(order=Order(num, SEED), load=lambda n, row: example(kind, n, row), dropped={}, num_held_out=0)

    data = with_prior(dataset(NUM_SUBJECT, 0), dataset(NUM_PRIOR, 100), 8)
    shards = np.split(np.arange(8), num_shards)
    held = [list(islice(data.batches(3, 8, shard.tolist()), 2)) for shard in shards]
    for step in range(2):
        found = np.concatenate([batches[step]["latents"].ravel() for batches in held])
        rows = np.concatenate([batches[step]["rows"] for batches in held])
        assert rows.tolist() == list(range(8 * (3 + step), 8 * (4 + step)))
        np.testing.assert_array_equal(found >= 100, is_prior(rows, 8))
        assert found.tolist() == [
            n if n < NUM_SUBJECT else 100 + n - NUM_SUBJECT for n in map(data.order.example, rows.tolist())
        ]
