from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.data.order import Order, batch_rows

seeds = st.integers(0, 2**32 - 1)


@given(num_examples=st.integers(1, 40), seed=seeds, epoch=st.integers(0, 1000))
def test_every_epoch_shows_every_example_once(num_examples: int, seed: int, epoch: int) -> None:
    order = Order(num_examples, seed)
    rows = range(epoch * num_examples, (epoch + 1) * num_examples)
    assert sorted(order.example(row) for row in rows) == list(range(num_examples))


def test_epochs_and_seeds_differ() -> None:
    def epoch(seed: int, number: int) -> tuple[int, ...]:
        return tuple(Order(30, seed).example(30 * number + i) for i in range(30))

    assert len({epoch(seed, number) for seed in range(4) for number in range(4)}) == 16


def test_the_order_of_a_seed_never_changes() -> None:
    # A checkpoint stores no order, so a resumed run relies on this one.
    order = Order(7, 5)
    assert [order.example(row) for row in range(14)] == [1, 4, 2, 3, 6, 5, 0, 4, 2, 0, 6, 5, 3, 1]


def test_endless_examples_come_in_sequence() -> None:
    assert [Order(None, 3).example(row) for row in (0, 1, 2**40)] == [0, 1, 2**40]


@given(step=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), interleaved=st.booleans())
def test_hosts_together_take_each_row_of_a_batch_once(step: int, sizes: list[int], interleaved: bool) -> None:
    global_batch, num_hosts = sum(sizes), len(sizes)
    if interleaved:
        positions = [list(range(host, global_batch, num_hosts)) for host in range(num_hosts)]
    else:
        positions = [list(range(sum(sizes[:host]), sum(sizes[: host + 1]))) for host in range(num_hosts)]
    rows = Counter(row for host in positions for row in batch_rows(step, global_batch, host))
    assert rows == Counter(range(step * global_batch, (step + 1) * global_batch))


def test_a_position_outside_of_the_batch_is_impossible() -> None:
    with pytest.raises(AssertionError):
        batch_rows(0, 4, [4])
