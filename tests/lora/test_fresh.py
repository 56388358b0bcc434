"""Factors to train: which modules have them, and that they are drawn as PEFT draws them."""

import jax
import numpy as np
import pytest

from mdctl.lora.fresh import fresh
from mdctl.lora.merging import merged
from mdctl.lora.modules import Module
from mdctl.spec.errors import SpecError
from tests.lora.pipelines import part

LAYERS = [
    Module(f"blocks.{i}.attn.{to}", (64, 400), f"blocks.attn.{to}.kernel", i, "o i -> i o")
    for i in range(3)
    for to in ("to_q", "to_out.0")
]
CONV = Module("in.conv", (8, 16, 5, 5), "in.conv.kernel", None, "o i h w -> h w i o")
MODULES = {module.name: module for module in (*LAYERS, CONV)}
KEY = jax.random.key(0)


def test_targets_are_ends_of_names() -> None:
    assert fresh(MODULES, ["to_q"], rank=4, alpha=4, key=KEY).keys() == {"blocks.attn.to_q.kernel"}
    assert fresh(MODULES, ["to_out.0", "conv"], rank=4, alpha=4, key=KEY).keys() == {
        "blocks.attn.to_out.0.kernel",
        "in.conv.kernel",
    }


def test_down_is_uniform_by_its_fan_in_and_up_is_zero() -> None:
    placed = fresh(MODULES, ["to_q", "conv"], rank=32, alpha=8, key=KEY)
    for name, shape, fan_in in (
        ("blocks.attn.to_q.kernel", (3, 400, 32), 400),
        ("in.conv.kernel", (5, 5, 16, 32), 400),
    ):
        down, up, scale = map(np.asarray, placed[name])
        assert down.shape == shape
        assert 0.99 * fan_in**-0.5 < np.abs(down).max() <= fan_in**-0.5
        assert down.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.02)
        assert down.mean() == pytest.approx(0, abs=1e-3)
        assert not up.any()
        np.testing.assert_array_equal(scale, np.full(scale.shape, 0.25, np.float32))
    assert placed["blocks.attn.to_q.kernel"].up.shape == (3, 32, 64)


def test_one_layer_of_a_stack_can_be_a_target() -> None:
    down, _, scale = map(
        np.asarray, fresh(MODULES, ["1.attn.to_q"], rank=2, alpha=2, key=KEY)["blocks.attn.to_q.kernel"]
    )
    np.testing.assert_array_equal(scale, [0, 1, 0])
    np.testing.assert_array_equal(np.any(down, axis=(1, 2)), [False, True, False])


def test_what_is_drawn_depends_on_key_and_name_alone() -> None:
    some = fresh(MODULES, ["to_q"], rank=4, alpha=4, key=KEY)["blocks.attn.to_q.kernel"].down
    more = fresh(MODULES, ["to_q", "to_out.0"], rank=4, alpha=1, key=KEY)
    np.testing.assert_array_equal(some, more["blocks.attn.to_q.kernel"].down)
    assert np.any(some != more["blocks.attn.to_out.0.kernel"].down)
    assert np.any(
        some != fresh(MODULES, ["to_q"], rank=4, alpha=4, key=jax.random.key(1))["blocks.attn.to_q.kernel"].down
    )


def test_a_target_that_is_nothing_is_told_of() -> None:
    with pytest.raises(SpecError, match=r"targets o_q, to_z: no module .* Names end in conv, to_out\.0, to_q\."):
        fresh(MODULES, ["to_q", "o_q", "to_z"], rank=4, alpha=4, key=KEY)
    with pytest.raises(SpecError, match=r"targets \(none\)"):
        fresh(MODULES, [], rank=4, alpha=4, key=KEY)


def test_the_network_begins_as_it_was() -> None:
    unet = part("sdxl", "unet")
    placed = fresh(unet.modules, ["to_q", "conv1", "proj_in"], rank=2, alpha=4, key=KEY)
    same = jax.tree.map(np.array_equal, merged(unet.params, [(placed, 1.0)]), unet.params)
    assert all(jax.tree.leaves(same))
