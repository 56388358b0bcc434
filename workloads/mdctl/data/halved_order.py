"""Which example stands in which row where half of every batch is of a subject and half of its class, the prior.

Row r of batches of B is at position p = r mod B of batch k = floor(r / B), and holds

    row k B / 2 + p             of the subject's order     where p < B / 2    (1)
    row k B / 2 + p - B / 2     of the prior's             elsewhere          (2)

So each has epochs of its own, however many examples the other has. Which rows are the prior's depends on nothing but
the batch's size: not on the devices that hold them, nor on the pieces in which gradients are accumulated. Of A pieces,
of which the a-th has rows a, a + A, ..., each has as many of the one as of the other where 2 A divides B.
"""

from dataclasses import dataclass
from typing import Any

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.data.order import Order


@dataclass(frozen=True)
class HalvedOrder:
    """The order of the subject's examples, which come first, and the prior's; the batch is even."""

    subject: Order | BucketedOrder
    prior: Order | BucketedOrder
    global_batch: int

    def __post_init__(self) -> None:
        assert self.global_batch % 2 == 0, self

    @property
    def num_subject(self) -> int:
        """Return how many examples are of the subject."""
        return _finite(self.subject)

    @property
    def num_examples(self) -> int:
        """Return how many examples there are."""
        return self.num_subject + _finite(self.prior)

    def example(self, row: int) -> int:
        """Return the index of the example in `row`, by (1) or (2)."""
        half = self.global_batch // 2
        own_row = row // self.global_batch * half + row % half
        if is_prior(row, self.global_batch):
            return self.num_subject + self.prior.example(own_row)
        return self.subject.example(own_row)


def is_prior(rows: Any, global_batch: int) -> Any:
    """Return whether a row, or each of an array of rows, is one of the prior's."""
    return rows % global_batch >= global_batch // 2


def _finite(order: Order | BucketedOrder) -> int:
    assert order.num_examples is not None, "a folder has so many examples"
    return order.num_examples
