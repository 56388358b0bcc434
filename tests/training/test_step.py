from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.spec.training import Objective, Optimizer
from mdctl.training.objective import make_loss
from mdctl.training.optimizer import AdamW
from mdctl.training.state import TrainState, init_state
from mdctl.training.step import TrainStep, accumulated, make_train_step
from tests.training import toy

OPTIMIZER = AdamW(Optimizer(weight_decay=0.1), lambda step: jnp.float32(1e-2), toy.decay_mask)
LOSS = make_loss(toy.denoise, FlowMatching(), Objective(), 0, shift=5.0, global_batch=8)


def fresh(*, ema: bool = True) -> TrainState:
    return init_state(toy.params(), OPTIMIZER, ema=ema)


@cache
def train_step(accumulation: int = 1, ema_decay: float | None = 0.9) -> TrainStep:
    return jax.jit(make_train_step(LOSS, OPTIMIZER, accumulation=accumulation, ema_decay=ema_decay), donate_argnums=0)


def test_a_step_counts_reports_and_moves_everything() -> None:
    state, metrics = train_step()(fresh(), toy.batch(), toy.NULL)
    assert state.step == 1
    assert set(metrics) == {"loss", "grad_norm", "learning_rate", "finite"}
    assert metrics["finite"]
    assert metrics["learning_rate"] == jnp.float32(1e-2)
    for before, after in zip(jax.tree.leaves(toy.params()), jax.tree.leaves(state.params), strict=True):
        assert jnp.all(before != after)
    start, params = toy.params()["kernel"], state.params["kernel"]
    assert state.ema is not None
    np.testing.assert_allclose(state.ema["kernel"], 0.1 * start + 0.9 * params, rtol=1e-6)


def test_training_lowers_the_loss() -> None:
    step, state, losses = train_step(), fresh(), []
    for _ in range(60):
        state, metrics = step(state, toy.batch(16), toy.NULL)
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_no_average_is_kept_unless_asked_for() -> None:
    state, _ = train_step(ema_decay=None)(fresh(ema=False), toy.batch(), toy.NULL)
    assert state.ema is None


@pytest.mark.parametrize("num_pieces", [2, 8])
def test_pieces_give_the_loss_and_gradient_of_the_whole(num_pieces: int) -> None:
    arguments = (toy.params(), jnp.int32(2), toy.batch(8), toy.NULL)
    whole = jax.jit(accumulated(LOSS, 1))(*arguments)
    pieces = jax.jit(accumulated(LOSS, num_pieces))(*arguments)
    for ours, theirs in zip(jax.tree.leaves(pieces), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_pieces_of_a_sharded_batch_stay_where_they_are() -> None:
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    sharded = jax.jit(accumulated(LOSS, 2), in_shardings=(whole, whole, rows, whole), out_shardings=whole)
    program = sharded.lower(toy.params(), jnp.int32(0), toy.batch(8), toy.NULL).compile().as_text()
    assert program is not None
    assert "all-reduce" in program
    assert not any(word in program for word in ("all-gather", "all-to-all", "collective-permute"))


def test_what_is_not_a_number_is_reported() -> None:
    state = fresh()
    params = {**state.params, "kernel": jnp.full_like(state.params["kernel"], jnp.nan)}
    broken = TrainState(step=state.step, params=params, opt_state=state.opt_state, ema=state.ema)
    assert not train_step()(broken, toy.batch(), toy.NULL)[1]["finite"]
