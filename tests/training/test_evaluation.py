from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.training.evaluation import HeldOutLoss, make_held_out_loss
from tests.training import toy

BUCKETS = 5


def says_the_time(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    """Predict the true target plus sqrt(s): the squared error is then s. All data is zero."""
    s = (time / 1000)[:, None, None, None, None]
    return x / s + jnp.sqrt(s)


@cache
def toy_loss(seed: int) -> HeldOutLoss:
    return jax.jit(make_held_out_loss(toy.denoise, FlowMatching(), BUCKETS, seed))


def test_each_bucket_is_measured_at_its_own_times() -> None:
    batch = toy.batch(64)
    zero = {**batch, "latents": jnp.zeros_like(batch["latents"])}
    times = np.asarray(jax.jit(make_held_out_loss(says_the_time, FlowMatching(), BUCKETS, 0))({}, zero))
    assert times.shape == (64, BUCKETS)
    np.testing.assert_array_equal(np.floor(times * BUCKETS), np.broadcast_to(np.arange(BUCKETS), times.shape))
    assert len(np.unique(times)) > 0.95 * times.size


def test_a_row_is_measured_alike_in_any_batch() -> None:
    held_out = toy_loss(0)
    batch = toy.batch(8)
    whole = held_out(toy.params(), batch)
    part = held_out(toy.params(), jax.tree.map(lambda leaf: leaf[4:6], batch))
    np.testing.assert_allclose(part, whole[4:6], rtol=1e-5)
    np.testing.assert_array_equal(held_out(toy.params(), batch), whole)


def test_seeds_measure_apart() -> None:
    losses = [toy_loss(seed)(toy.params(), toy.batch()) for seed in (0, 1)]
    assert not np.any(losses[0] == losses[1])
