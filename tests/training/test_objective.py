from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.spec.training import Objective
from mdctl.training.objective import GlobalBatch, Loss, make_loss
from tests.training import toy

STEP = jnp.int32(3)


@cache
def toy_loss(seed: int = 0) -> Loss:
    return jax.jit(make_loss(toy.denoise, FlowMatching(), Objective(), seed, shift=5.0, global_batch=8))


def take(batch: GlobalBatch, rows: slice) -> GlobalBatch:
    taken: GlobalBatch = jax.tree.map(lambda leaf: leaf[rows], batch)
    return taken


def constant_data(value: float, size: int = 64) -> GlobalBatch:
    batch = toy.batch(size)
    return {**batch, "latents": jnp.full_like(batch["latents"], value)}


@pytest.mark.parametrize("weighting", ["none", "bell"])
def test_a_network_that_knows_the_data_has_no_loss(weighting: str) -> None:
    def knowing(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        data: Array = params
        return (x - data) / (time / 1000)[:, None, None, None, None]

    objective = Objective.model_validate({"weighting": weighting})
    loss = jax.jit(make_loss(knowing, FlowMatching(), objective, 0, shift=3.0, global_batch=8))
    assert loss(jnp.float32(0.4), STEP, constant_data(0.4), toy.NULL) < 1e-6
    assert loss(jnp.float32(0.5), STEP, constant_data(0.4), toy.NULL) > 1e-3


def test_a_network_that_says_nothing_loses_the_variance_of_the_target() -> None:
    def silent(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        return jnp.zeros_like(x)

    loss = jax.jit(make_loss(silent, FlowMatching(), Objective(), 0, shift=5.0, global_batch=8))
    assert loss({}, STEP, constant_data(2.0, 512), toy.NULL) == pytest.approx(1 + 2.0**2, rel=0.02)


def test_the_loss_is_a_mean_over_rows_however_they_are_ordered_or_cut() -> None:
    loss, params, batch = toy_loss(), toy.params(), toy.batch(8)
    whole = loss(params, STEP, batch, toy.NULL)
    halves = [loss(params, STEP, take(batch, part), toy.NULL) for part in (slice(0, 8, 2), slice(1, 8, 2))]
    np.testing.assert_allclose(sum(halves) / 2, whole, rtol=1e-6)
    np.testing.assert_allclose(loss(params, STEP, take(batch, slice(None, None, -1)), toy.NULL), whole, rtol=1e-6)


def test_the_loss_does_not_depend_on_the_layout() -> None:
    mesh = jax.make_mesh((4, 2), ("data", "tokens"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    loss, params, batch = toy_loss(), toy.params(), toy.batch(8)
    sharded = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    np.testing.assert_allclose(loss(params, STEP, sharded, toy.NULL), loss(params, STEP, batch, toy.NULL), rtol=1e-6)


def test_steps_rows_and_seeds_draw_anew() -> None:
    params, batch = toy.params(), toy.batch(8)
    losses = {
        float(toy_loss()(params, STEP, batch, toy.NULL)),
        float(toy_loss()(params, STEP + 1, batch, toy.NULL)),
        float(toy_loss(1)(params, STEP, batch, toy.NULL)),
        float(toy_loss()(params, STEP, {**batch, "rows": batch["rows"] + 8}, toy.NULL)),
    }
    assert len(losses) == 4


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_captions_are_dropped_at_their_rate_and_whole(rate: float) -> None:
    size = 4096
    batch: GlobalBatch = {
        "latents": jnp.zeros((size, 1, 1, 1, 1), jnp.float32),
        "conditioning": {"text": jnp.zeros((size, 2, 3), jnp.float32)},
        "rows": jnp.arange(size, dtype=jnp.uint32),
    }
    seen: list[Array] = []

    def keep(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        jax.debug.callback(seen.append, conditioning["text"])
        return jnp.zeros_like(x)

    loss = jax.jit(make_loss(keep, FlowMatching(), Objective(caption_dropout=rate), 0, shift=5.0, global_batch=8))
    loss({}, STEP, batch, {"text": jnp.ones((2, 3), jnp.float32)}).block_until_ready()
    jax.effects_barrier()

    (text,) = seen
    dropped = np.asarray(text)
    assert np.all(dropped == dropped[:, :1, :1])
    assert abs(dropped[:, 0, 0].mean() - rate) <= 4 * (rate * (1 - rate) / size) ** 0.5
