import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mdctl.data.dataset import Batch, Dataset, Example
from mdctl.data.order import Order
from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.spec.shapes import LatentShape

NUM_EXAMPLES, GLOBAL_BATCH = 7, 4


def example(index: int) -> Example:
    return {
        "latents": np.full((2, 1, 1, 3), index, np.float32),
        "conditioning": {"text": np.full((5, 2), -index, np.float32)},
    }


DATA = Dataset(
    order=Order(NUM_EXAMPLES, 11),
    load=lambda index, row: example(index),
    dropped={"text": np.zeros((5, 2), np.float32)},
    load_held_out=example,
)


def shown(batch: Batch) -> list[int]:
    return [int(latents[0, 0, 0, 0]) for latents in batch["latents"]]


def take(data: Dataset, start_step: int, positions: list[int], num_batches: int) -> list[Batch]:
    return list(islice(data.batches(start_step, GLOBAL_BATCH, positions), num_batches))


def test_batches_follow_the_order() -> None:
    batches = take(DATA, 0, [0, 1, 2, 3], 5)
    assert [shown(batch) for batch in batches] == [
        [DATA.order.example(row) for row in range(4 * step, 4 * step + 4)] for step in range(5)
    ]
    assert np.concatenate([batch["rows"] for batch in batches]).tolist() == list(range(20))
    assert all((batch["conditioning"]["text"][:, 0, 0] == -batch["latents"][:, 0, 0, 0, 0]).all() for batch in batches)


def test_a_start_at_any_step_continues_the_same_sequence() -> None:
    whole = take(DATA, 0, [0, 1, 2, 3], 6)
    for start in range(6):
        assert [shown(each) for each in take(DATA, start, [0, 1, 2, 3], 6 - start)] == [shown(e) for e in whole[start:]]


def test_a_late_start_needs_nothing_that_came_before() -> None:
    step = 2**33
    (batch,) = take(DATA, step, [3], 1)
    assert batch["rows"].tolist() == [(4 * step + 3) % 2**32]
    assert shown(batch) == [DATA.order.example(4 * step + 3)]


def test_a_fault_while_loading_reaches_the_loop() -> None:
    def fail(index: int, row: int) -> Example:
        raise FileNotFoundError(index, row)

    with pytest.raises(FileNotFoundError):
        next(replace(DATA, load=fail).batches(0, GLOBAL_BATCH, [0]))


def test_held_out_examples_come_as_asked() -> None:
    assert shown(DATA.held_out_batch([2, 0])) == [2, 0]


SHAPE = SyntheticShape(latents=LatentShape(1, 1, 1, 2), conditioning={"text": (1, 1)})


def host(positions: list[int]) -> list[tuple[list[int], list[float]]]:
    batches = synthetic_dataset(SHAPE, num_samples=5, seed=9).batches(3, 6, positions)
    return [(batch["rows"].tolist(), batch["latents"].ravel().tolist()) for batch in islice(batches, 4)]


def test_two_processes_see_the_order_that_one_sees() -> None:
    program = "import json, test_dataset; print(json.dumps(test_dataset.host([3, 4, 5])))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parent)}
    other = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    joined = [
        (first[0] + second[0], first[1] + second[1])
        for first, second in zip(host([0, 1, 2]), json.loads(other.stdout), strict=True)
    ]
    assert joined == host([0, 1, 2, 3, 4, 5])
