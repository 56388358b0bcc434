import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.prediction import EPSILON, SAMPLE, VELOCITY, Prediction, V
from mdctl.diffusion.samplers.first_order import consistency, first_order
from mdctl.diffusion.samplers.schedule import Spacing, Stepping, distilled, flow_euler, strides
from mdctl.diffusion.variance_preserving import Betas

RNG = np.random.default_rng(0)
CLEAN, NOISE = (jnp.asarray(RNG.normal(size=(2, 3)), jnp.float32) for _ in range(2))


@pytest.mark.parametrize("num_steps", [1, 2, 7, 50])
@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
def test_a_straight_path_ends_at_the_data_whatever_the_steps(num_steps: int, shift: float) -> None:
    sampler = first_order(flow_euler(num_steps, shift), VELOCITY)
    x = sampler.start(NOISE)
    for i in range(num_steps):
        x = sampler.step(x, NOISE - CLEAN, i)
    np.testing.assert_allclose(sampler.latents(x), CLEAN, atol=1e-6)


def test_flow_matching_goes_along_the_velocity() -> None:
    schedule = flow_euler(4, 3.0)
    (x,) = first_order(schedule, VELOCITY).step((NOISE,), CLEAN, 1)
    np.testing.assert_allclose(x, NOISE + (schedule.then[1].sigma - schedule.now[1].sigma) * CLEAN, atol=1e-6)


@pytest.mark.parametrize("prediction", [EPSILON, SAMPLE, V], ids=lambda prediction: prediction.name)
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_each_step_leads_to_its_level(prediction: Prediction, spacing: Spacing) -> None:
    """With the data and the noise that it came from, where the network knows both."""
    schedule = strides(Betas(), 8, Stepping(spacing=spacing, offset=0, ends_in_data=True))
    sampler = first_order(schedule, prediction)
    for i, (now, then) in enumerate(zip(schedule.now, schedule.then, strict=True)):
        x = now.alpha * CLEAN + now.sigma * NOISE
        (x,) = sampler.step((x,), prediction.of(CLEAN, NOISE, now), i)
        np.testing.assert_allclose(x, then.alpha * CLEAN + then.sigma * NOISE, atol=2e-5)


def test_the_posterior_of_ddpm() -> None:
    """Ho et al. 2020, eq. 7, written with betas; only neighbours are steps of that process."""
    betas = Betas()
    schedule = strides(betas, betas.num_steps, Stepping(offset=0, ends_in_data=True))
    weights = np.asarray(first_order(schedule, SAMPLE, eta=1.0).weights, np.float64)[:, 0]
    for i in (0, 400, 998):
        t = betas.num_steps - 1 - i
        beta, bar, bar_before = betas.values[t], betas.alpha_bars[t], betas.alpha_bars[t - 1]
        of_x = np.sqrt(1 - beta) * (1 - bar_before) / (1 - bar)
        of_data = np.sqrt(bar_before) * beta / (1 - bar)
        deviation = np.sqrt((1 - bar_before) / (1 - bar) * beta)
        np.testing.assert_allclose(weights[i], [of_x, of_data, deviation], rtol=1e-5, atol=1e-7)


def test_consistency_ends_at_its_estimate() -> None:
    schedule = distilled(Betas(), 4, Stepping())
    sampler = consistency(schedule, SAMPLE)
    (x,) = sampler.step((NOISE,), CLEAN, 3, NOISE)
    np.testing.assert_allclose(x, CLEAN, atol=1e-4)  # c_skip at the last step, 1/(400 tau^2) of x
