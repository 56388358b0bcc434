"""UniPC against solutions in closed form, derived anew from the equation it solves.

In l = log(alpha / sigma), with m(l) the data estimate along the path, d(x / sigma)/dl = e^l m. So

    x = sigma (e^l (m - m' + m'') + constant)    for m of degree two.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.prediction import VELOCITY
from mdctl.diffusion.samplers.dpm_solver import dpm_solver
from mdctl.diffusion.samplers.first_order import first_order
from mdctl.diffusion.samplers.sampler import Carry, Sampler
from mdctl.diffusion.samplers.schedule import Schedule, flow_dpm_solver, flow_euler, flow_unipc
from mdctl.diffusion.samplers.unipc import unipc

STEPS = 12
SHIFT = 3.0


def log_ratio(sigma: float) -> float:
    return float(np.log1p(-sigma) - np.log(sigma))


def estimate(m: np.polynomial.Polynomial, sigma: float) -> float:
    return float(m(log_ratio(sigma)))


def exact(m: np.polynomial.Polynomial, sigma: float) -> float:
    bent: np.polynomial.Polynomial = m - m.deriv(1) + m.deriv(2)
    return sigma * (float(np.exp(log_ratio(sigma)) * bent(log_ratio(sigma))) + 0.3)


def advance(m: np.polynomial.Polynomial, i: int) -> tuple[Carry, list[float]]:
    """Take step i from a history on the exact path, whose evaluated point is off it; return sigmas too."""
    schedule = flow_unipc(STEPS, SHIFT)
    sigmas = sigmas_of(schedule)
    history = (0.5, exact(m, sigmas[i - 1]), estimate(m, sigmas[i - 1]), estimate(m, sigmas[i - 2]))
    carry = tuple(jnp.full((1,), value, jnp.float32) for value in history)
    velocity = (carry[0] - estimate(m, sigmas[i])) / sigmas[i]
    return unipc(schedule, VELOCITY).step(carry, velocity, i), sigmas


def sigmas_of(schedule: Schedule) -> list[float]:
    return [level.sigma for level in (*schedule.now, schedule.then[-1])]


@pytest.mark.parametrize("i", range(3, STEPS))
def test_the_corrector_is_exact_where_the_estimate_is_quadratic(i: int) -> None:
    m = np.polynomial.Polynomial([0.4, -0.3, 0.05])
    carry, sigmas = advance(m, i)
    np.testing.assert_allclose(carry[1][0], exact(m, sigmas[i]), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("i", range(3, STEPS - 1))
def test_the_predictor_is_exact_where_the_estimate_is_constant(i: int) -> None:
    m = np.polynomial.Polynomial([0.4])
    carry, sigmas = advance(m, i)
    np.testing.assert_allclose(carry[0][0], exact(m, sigmas[i + 1]), rtol=2e-6, atol=2e-6)


def test_the_last_step_gives_the_estimate() -> None:
    m = np.polynomial.Polynomial([0.4, -0.3, 0.05])
    carry, sigmas = advance(m, STEPS - 1)
    np.testing.assert_allclose(carry[0][0], estimate(m, sigmas[-2]), rtol=1e-6)


class Gaussian:
    """Data N(mean, spread^2), whose flow is known: x_s = (1 - s) mean + deviation(s) z with z fixed along a path."""

    mean = 0.7
    spread = 0.4
    z = np.linspace(-2, 2, 9)

    def deviation(self, s: float) -> float:
        return float(np.hypot((1 - s) * self.spread, s))

    def path(self, s: float) -> np.ndarray:
        return (1 - s) * self.mean + self.deviation(s) * self.z

    def velocity(self, x: np.ndarray, s: float) -> np.ndarray:
        z = (x - (1 - s) * self.mean) / self.deviation(s)
        return -self.mean + z * (s - (1 - s) * self.spread**2) / self.deviation(s)


def error_half_way(sampler: Sampler, sigmas: list[float]) -> float:
    """Return how far the sampler is from the path after half its steps, from a start on it."""
    flow, half = Gaussian(), len(sigmas) // 2
    carry = sampler.start(jnp.asarray(flow.path(sigmas[0]), jnp.float32))
    for i in range(half):
        x = np.asarray(sampler.latents(carry), np.float64)
        carry = sampler.step(carry, jnp.asarray(flow.velocity(x, sigmas[i]), jnp.float32), i)
    return float(np.abs(np.asarray(sampler.latents(carry)) - flow.path(sigmas[half])).max())


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize(
    ("method", "schedule", "least", "most"),
    [
        (unipc, flow_unipc, 2.0, 3.5),
        (dpm_solver, flow_dpm_solver, 1.7, 2.6),
        (first_order, flow_euler, 1.0, 1.5),
    ],
    ids=["unipc", "dpm++2m", "euler"],
)
def test_order_of_convergence(
    method: Callable[..., Sampler],
    schedule: Callable[[int, float], Schedule],
    least: float,
    most: float,
    shift: float,
) -> None:
    schedules = [schedule(steps, shift) for steps in (8, 16, 32)]
    errors = [error_half_way(method(each, VELOCITY), sigmas_of(each)) for each in schedules]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert least <= orders.min()
    assert orders.max() <= most
