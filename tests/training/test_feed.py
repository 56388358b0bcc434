import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.parallel.rules import activation_sharding
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
