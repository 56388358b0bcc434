from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.spec.buckets import Size

seeds = st.integers(0, 2**32 - 1)
counts = st.lists(st.integers(1, 15), min_size=1, max_size=5)


def make(counts: Sequence[int], seed: int, global_batch: int) -> BucketedOrder:
    ends = list(accumulate(counts))
    buckets = {Size(n, 1): range(end - count, end) for n, (count, end) in enumerate(zip(counts, ends, strict=True))}
    return BucketedOrder(buckets, seed, global_batch)


def examples(order: BucketedOrder, step: int) -> list[int]:
    return [order.example(row) for row in range(step * order.global_batch, (step + 1) * order.global_batch)]


@given(counts=counts, seed=seeds, global_batch=st.integers(1, 8), step=st.integers(0, 10**6))
def test_a_batch_is_of_one_bucket(counts: list[int], seed: int, global_batch: int, step: int) -> None:
    order = make(counts, seed, global_batch)
    members = list(order.buckets.values())[order.batch(step)[0]]
    assert set(examples(order, step)) <= set(members)


@given(counts=counts, seed=seeds, global_batch=st.integers(1, 8), epochs=st.integers(1, 6))
def test_after_some_epochs_each_example_was_seen_so_often_but_for_less_than_a_batch(
    counts: list[int], seed: int, global_batch: int, epochs: int
) -> None:
    order = make(counts, seed, global_batch)
    seen = Counter(example for step in range(order.first_step(epochs)) for example in examples(order, step))
    for members in order.buckets.values():
        times = [seen[example] for example in members]
        assert max(times) <= epochs
        missing = sum(epochs - each for each in times)
        assert missing == epochs * len(members) % global_batch


@given(counts=counts, seed=seeds, global_batch=st.integers(1, 8), epoch=st.integers(0, 50))
def test_every_epoch_takes_the_next_batches_of_each_bucket(
    counts: list[int], seed: int, global_batch: int, epoch: int
) -> None:
    order = make(counts, seed, global_batch)
    steps = range(order.first_step(epoch), order.first_step(epoch + 1))
    taken = Counter(order.batch(step) for step in steps)
    assert set(taken.values()) <= {1}
    for bucket, count in enumerate(counts):
        numbers = sorted(number for taken_bucket, number in taken if taken_bucket == bucket)
        assert numbers == list(range(epoch * count // global_batch, (epoch + 1) * count // global_batch))


def test_no_example_of_a_small_bucket_waits_for_ever() -> None:
    order = make([200, 3, 1], 7, 16)
    seen = Counter(example for step in range(order.first_step(16)) for example in examples(order, step))
    assert [seen[example] for example in (200, 201, 202, 203)] == [16, 16, 16, 16]


def test_buckets_are_mixed() -> None:
    order = make([200, 100, 100], 3, 4)
    buckets = [order.batch(step)[0] for step in range(order.first_step(1))]
    assert Counter(buckets) == {0: 50, 1: 25, 2: 25}
    changes = sum(one != other for one, other in pairwise(buckets))
    assert 40 < changes < 80  # 62 of 99 where each is drawn alone


def test_seeds_and_epochs_differ() -> None:
    first = {tuple(examples(make([20], seed, 20), epoch)) for seed in range(4) for epoch in range(4)}
    assert len(first) == 16


def test_one_bucket_that_batches_divide_shows_every_example_once_in_an_epoch() -> None:
    order = make([12], 3, 4)
    for epoch in range(5):
        shown = [example for step in range(3 * epoch, 3 * epoch + 3) for example in examples(order, step)]
        assert sorted(shown) == list(range(12))


def test_the_order_of_a_seed_never_changes() -> None:
    # A checkpoint stores no order, so a resumed run relies on this one.
    order = make([5, 3, 1], 5, 2)
    shown = [(order.batch(step)[0], *examples(order, step)) for step in range(6)]
    assert shown == [(0, 2, 3), (1, 5, 7), (0, 4, 0), (0, 4, 2), (0, 1, 1), (2, 8, 8)]
    assert examples(order, 2**40) == [6, 7]
