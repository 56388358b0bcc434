import logging
from itertools import islice

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.data.dataset import Dataset
from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.parallel.rules import activation_sharding
from mdctl.spec.buckets import Size
from mdctl.spec.layout import AXES
from mdctl.spec.shapes import LatentShape
from mdctl.training.feed import feed, held_positions, place_rows, place_whole

SHAPE = SyntheticShape(latents=LatentShape(2, 4, 4, 3), conditioning={"text": (5, 6)})


def mesh(*shape):
    return Mesh(np.array(jax.devices()).reshape(shape), AXES)


@pytest.mark.parametrize("shape", [(8, 1, 1, 1, 1), (2, 2, 2, 1, 1), (1, 1, 1, 4, 2)])
def test_batches_are_the_same_on_every_mesh(shape):
    dataset = synthetic_dataset(SHAPE, num_samples=10, seed=1)
    reference = next(dataset.batches(3, 8, range(8)))
    batch = next(feed(dataset, 3, 8, mesh(*shape)))
    np.testing.assert_array_equal(np.asarray(batch["latents"]), reference["latents"])
    np.testing.assert_array_equal(np.asarray(batch["conditioning"]["text"]), reference["conditioning"]["text"])
    np.testing.assert_array_equal(np.asarray(batch["rows"]), np.arange(24, 32))
    assert batch["latents"].sharding == activation_sharding(mesh(*shape), "batch")


def test_a_host_holds_the_rows_of_its_devices():
    assert held_positions(activation_sharding(mesh(4, 1, 2, 1, 1), "batch"), 8) == list(range(8))


def test_rows_are_placed_by_their_position_and_not_by_their_order():
    sharding = activation_sharding(mesh(8, 1, 1, 1, 1), "batch")
    backwards = list(range(7, -1, -1))
    placed = place_rows({"rows": np.array(backwards)}, backwards, 8, sharding)
    np.testing.assert_array_equal(np.asarray(placed["rows"]), np.arange(8))


def test_what_all_devices_need_is_on_each_of_them():
    placed = place_whole({"text": np.ones((5, 6), np.float32)}, mesh(2, 2, 2, 1, 1))
    assert placed["text"].is_fully_replicated
    assert len(placed["text"].addressable_shards) == 8


def test_batches_of_several_shapes_are_told_of_once_each(caplog):
    square, lying = Size(4, 4), Size(2, 6)
    order = BucketedOrder({square: range(16), lying: range(16, 32)}, 2, 8)

    def load(index, row):
        height, width = square if index < 16 else lying
        return {"latents": np.full((1, height, width, 3), index, np.float32), "conditioning": {}}

    dataset = Dataset(order=order, load=load, dropped={})
    with caplog.at_level(logging.INFO):
        batches = list(islice(feed(dataset, 1, 8, mesh(2, 2, 2, 1, 1)), 8))
    shapes = [batch["latents"].shape[2:4] for batch in batches]
    assert shapes == [list(order.buckets)[order.batch(step)[0]] for step in range(1, 9)]
    other = next(number for number, shape in enumerate(shapes) if shape != shapes[0])
    size = " x ".join(map(str, (1, *shapes[other], 3)))
    assert [(record.getMessage(), record.shared) for record in caplog.records] == [
        (f"step {other + 2} is the first with latents of {size} and compiles", True)
    ]
    for step, batch in enumerate(batches, start=1):
        values = np.asarray(batch["latents"])[:, 0, 0, 0, 0]
        assert values.tolist() == [order.example(row) for row in range(8 * step, 8 * step + 8)]
