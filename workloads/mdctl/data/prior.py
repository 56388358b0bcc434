"""A subject's data set beside that of its class, which keeps a model that learns the one from forgetting the other.

Ruiz et al. 2023 (Dreambooth), sec. 3.2: https://arxiv.org/abs/2208.12242.
"""

from dataclasses import replace

from mdctl.data.dataset import Dataset, Example
from mdctl.data.halved_order import HalvedOrder


def with_prior(subject: Dataset, prior: Dataset, global_batch: int) -> Dataset:
    """Return a data set whose batches are half the one's and half the other's; what is held out is the subject's."""
    assert not isinstance(subject.order, HalvedOrder), "there are two halves"
    assert not isinstance(prior.order, HalvedOrder), "there are two halves"
    order = HalvedOrder(subject.order, prior.order, global_batch)

    def load(number: int, row: int) -> Example:
        if number < order.num_subject:
            return subject.load(number, row)
        return prior.load(number - order.num_subject, row)

    return replace(subject, order=order, load=load)
