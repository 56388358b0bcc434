"""Factors of parameters: those of a stack stacked, lower ranks padded, and all of it taken back as it was."""

import numpy as np
import pytest
from jax.sharding import PartitionSpec

from mdctl.lora.adapter import Pair
from mdctl.lora.modules import Module, by_parameter
from mdctl.lora.placing import LAYOUT, place, take_back
from mdctl.parallel.mesh import make_mesh
from mdctl.parallel.rules import parameter_shardings
from mdctl.spec.errors import WeightsError
from tests.parallel.layouts import make_layout

LINEAR = [Module(f"blocks.{i}.to_q", (4, 3), "blocks.to_q.kernel", i, "o i -> i o") for i in range(3)]
CONV = Module("conv", (4, 3, 2, 5), "conv.kernel", None, "o i h w -> h w i o")
POINT = Module("point", (4, 3, 1, 1), "point.kernel", None, "o i 1 1 -> i o")
MODULES = {module.name: module for module in (*LINEAR, CONV, POINT)} | {"old.conv": CONV}


def draw(module: Module, rank: int, alpha: float) -> Pair:
    rng = np.random.default_rng(rank)
    down, up = rng.normal(size=(rank, *module.shape[1:])), rng.normal(size=(module.shape[0], rank))
    return Pair(down.astype(np.float32), up.astype(np.float32), alpha)


PAIRS = {
    "blocks.0.to_q": draw(LINEAR[0], 2, 1.0),
    "blocks.2.to_q": draw(LINEAR[2], 3, 2.0),
    "conv": draw(CONV, 2, 8.0),
    "point": draw(POINT, 1, 0.5),
}


def test_a_parameter_has_its_layers_in_order_each_once() -> None:
    assert by_parameter(MODULES.values()) == {
        "blocks.to_q.kernel": LINEAR,
        "conv.kernel": [CONV],
        "point.kernel": [POINT],
    }


def test_layers_are_stacked_and_padded() -> None:
    down, up, scale = map(np.asarray, place(PAIRS, MODULES)["blocks.to_q.kernel"])
    assert (down.shape, up.shape) == ((3, 3, 3), (3, 3, 4))
    np.testing.assert_array_equal(scale, np.array([1 / 2, 0, 2 / 3], np.float32))
    np.testing.assert_array_equal(down[0, :, :2], PAIRS["blocks.0.to_q"].down.T)
    np.testing.assert_array_equal(up[2], PAIRS["blocks.2.to_q"].up.T)
    assert not down[0, :, 2].any()
    assert not up[0, 2].any()
    assert not down[1].any()
    assert not up[1].any()


def test_convolutions_are_laid_as_their_kernels() -> None:
    placed = place(PAIRS, MODULES)
    assert placed["conv.kernel"].down.shape == (2, 5, 3, 2)
    np.testing.assert_array_equal(placed["conv.kernel"].down[1, 4, 2], PAIRS["conv"].down[:, 2, 1, 4])
    assert placed["point.kernel"].down.shape == (3, 1)
    assert placed["point.kernel"].scale == np.float32(0.5)


def test_what_was_placed_is_taken_back() -> None:
    back = take_back(place(PAIRS, MODULES), MODULES)
    assert back.keys() == PAIRS.keys()
    for name, pair in PAIRS.items():
        np.testing.assert_array_equal(back[name].down, pair.down)
        np.testing.assert_array_equal(back[name].up, pair.up)
        assert back[name].alpha == pair.alpha


def test_another_name_of_a_module_is_as_good() -> None:
    assert place({"old.conv": PAIRS["conv"]}, MODULES).keys() == {"conv.kernel"}


def test_an_unknown_module_is_told_of() -> None:
    with pytest.raises(WeightsError, match=r"this model has no blocks\.7\.to_q, which the LoRA changes"):
        place({"blocks.7.to_q": PAIRS["blocks.0.to_q"]}, MODULES)


def test_every_device_holds_all_factors() -> None:
    mesh = make_mesh(make_layout({"fsdp": 4, "tensor": 2}))
    shardings = parameter_shardings(mesh, place(PAIRS, MODULES), LAYOUT)
    assert {axis for factors in shardings.values() for sharding in factors for axis in sharding.spec} == {None}
    assert shardings["point.kernel"].scale.spec == PartitionSpec()
