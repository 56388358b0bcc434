"""The loss of batches whose halves are a subject's and its class's, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.spec.training import Objective
from mdctl.training.objective import GlobalBatch, Loss, make_loss
from mdctl.training.step import accumulated
from tests.training import toy

STEP = jnp.int32(3)
SIZE = 8


def make(weight: float | None, **objective: bool) -> Loss:
    return make_loss(
        toy.denoise,
        FlowMatching(),
        Objective.model_validate(objective),
        0,
        shift=5.0,
        global_batch=SIZE,
        prior_weight=weight,
    )


def half(batch: GlobalBatch, number: int) -> GlobalBatch:
    taken: GlobalBatch = jax.tree.map(lambda leaf: leaf[number * SIZE // 2 : (number + 1) * SIZE // 2], batch)
    return taken


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.3])
def test_the_loss_is_the_subjects_and_the_weighted_priors(weight: float) -> None:
    params, batch = toy.params(), toy.batch(SIZE, first_row=5 * SIZE)
    subject, prior = (make(None)(params, STEP, half(batch, number), toy.NULL) for number in range(2))
    assert abs(subject - prior) > 0.01
    np.testing.assert_allclose(make(weight)(params, STEP, batch, toy.NULL), subject + weight * prior, rtol=1e-6)


def test_with_weight_one_it_is_twice_the_plain_loss() -> None:
    params, batch = toy.params(), toy.batch(SIZE)
    np.testing.assert_allclose(
        make(1.0)(params, STEP, batch, toy.NULL), 2 * make(None)(params, STEP, batch, toy.NULL), rtol=1e-6
    )


@pytest.mark.parametrize("num_pieces", [2, 4])
def test_pieces_give_the_loss_and_gradient_of_the_whole(num_pieces: int) -> None:
    arguments = (toy.params(), STEP, toy.batch(SIZE), toy.NULL)
    whole = jax.jit(accumulated(make(0.3), 1))(*arguments)
    pieces = jax.jit(accumulated(make(0.3), num_pieces))(*arguments)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(pieces), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_shards", [2, 8])
def test_the_loss_does_not_depend_on_the_layout(num_shards: int) -> None:
    mesh = jax.make_mesh(
        (num_shards, 8 // num_shards), ("data", "tokens"), axis_types=(jax.sharding.AxisType.Auto,) * 2
    )
    loss, params, batch = jax.jit(make(0.3)), toy.params(), toy.batch(SIZE)
    sharded = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    np.testing.assert_allclose(loss(params, STEP, sharded, toy.NULL), loss(params, STEP, batch, toy.NULL), rtol=1e-6)


def test_stratified_times_are_spread_over_each_half() -> None:
    """Spread over the batch as a whole, the subject would be seen at one half of the times, the prior at the other."""

    def timed(params: object, x: jax.Array, time: jax.Array, conditioning: object) -> jax.Array:
        seen.append(time)
        return jnp.zeros_like(x)

    seen: list[jax.Array] = []
    objective = Objective(stratified=True)
    loss = make_loss(timed, FlowMatching(), objective, 0, shift=1.0, global_batch=SIZE, prior_weight=1.0)
    loss({}, STEP, toy.batch(SIZE), toy.NULL)
    (times,) = seen
    np.testing.assert_array_equal(times[: SIZE // 2], times[SIZE // 2 :])
    gaps = np.diff(np.sort(np.asarray(times[: SIZE // 2]) / 1000))
    np.testing.assert_allclose(gaps, 2 / SIZE, rtol=1e-4)
