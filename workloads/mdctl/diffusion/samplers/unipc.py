"""UniPC of order 2 with B(h) = e^h - 1 (Zhao et al. 2023, arXiv:2302.04867), on estimates of the data.

A latent is x = alpha data + sigma noise; let l = log(alpha / sigma), h = l_t - l_s > 0 for a step from s to t, and
m the data estimate at an evaluated point. With c = alpha_t (1 - e^-h) every update has the form

    x_t = (sigma_t / sigma_s) x_s + c (m_s + sum_k rho_k (m_k - m_s) / r_k),    r_k = (l_k - l_s) / h       (1)

The predictor knows the point before s, with rho = 1/2 (order 2), or nothing (order 1). Once the network has answered at
t, for which r = 1, the corrector takes the step again with that answer among the m_k: alone with rho = 1/2 (order 1),
or beside the point before s, with (order 2)

    rho_before + rho_t = b_1,                 b_1 = 1 / (1 - e^-h) - 1 / h
    r_before rho_before + rho_t = b_2,        b_2 = 1 / (1 - e^-h) - 2 b_1 / h                              (2)

The schedule is that of diffusers' UniPCMultistepScheduler with `use_flow_sigmas`: values evenly spaced from 1 towards
1/1000, shifted, the first then 1e-6 below 1 (where l is infinite), and 0 at the end; the network is given the times
truncated to whole numbers. The first step is of order 1 for want of history; so is the last, which ends at infinite l,
where (1) is the data estimate itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64

from mdctl.diffusion.flow_matching import MODEL_TIME_UNIT, data_estimate, shifted
from mdctl.diffusion.samplers.sampler import Index, Table

BELOW_ONE = 1e-6


class History(NamedTuple):
    """What UniPC remembers: the point to evaluate, the one it was predicted from, and the last two data estimates."""

    x: Float32[Array, "*S"]
    previous: Float32[Array, "*S"]
    newest: Float32[Array, "*S"]
    older: Float32[Array, "*S"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class UniPC:
    """Update (1) for each step, as weights of latents and data estimates.

    `corrector` weighs (x, previous, newest, older, estimate); `predictor` weighs (corrected, estimate, newest).
    """

    times: Table
    sigmas: Table
    corrector: Float32[np.ndarray, "steps 5"] | Float32[Array, "steps 5"]
    predictor: Float32[np.ndarray, "steps 3"] | Float32[Array, "steps 3"]

    @classmethod
    def flow(cls, num_steps: int, shift: float) -> "UniPC":
        """Return the sampler for a flow-matching network."""
        sigmas = unipc_sigmas(num_steps, shift)
        times = np.trunc(sigmas[:-1] * MODEL_TIME_UNIT).astype(np.float32)
        rounded = sigmas.astype(np.float32)  # 1e-6 below 1 is 17 units in the last place: l must be that of these
        corrector, predictor = _weights(1 - rounded.astype(np.float64), rounded.astype(np.float64))
        return cls(times=times, sigmas=rounded[:-1], corrector=corrector, predictor=predictor)

    def start(self, noise: Float32[Array, "*S"]) -> History:
        """Return the noise, and an empty history."""
        nothing = jnp.zeros_like(noise)
        return History(x=noise, previous=nothing, newest=nothing, older=nothing)

    def latents(self, carry: History) -> Float32[Array, "*S"]:
        """Return the predicted point."""
        return carry.x

    def step(self, carry: History, prediction: Float32[Array, "*S"], i: Index) -> History:
        """Correct the point that was evaluated, then predict the next."""
        x, previous, newest, older = carry
        estimate = data_estimate(x, prediction, jnp.asarray(self.sigmas)[i])
        corrected = _mix(jnp.asarray(self.corrector)[i], (x, previous, newest, older, estimate))
        predicted = _mix(jnp.asarray(self.predictor)[i], (corrected, estimate, newest))
        return History(x=predicted, previous=corrected, newest=estimate, older=newest)


def unipc_sigmas(num_steps: int, shift: float) -> Float64[np.ndarray, " points"]:
    """Return the schedule of the module's docstring: num_steps + 1 values, the last 0."""
    sigmas = shifted(np.linspace(1, 1 / MODEL_TIME_UNIT, num_steps + 1)[:-1], shift)
    if abs(sigmas[0] - 1) < BELOW_ONE:
        sigmas[0] -= BELOW_ONE
    return np.append(sigmas, 0.0)


def _mix(weights: Float32[Array, " K"], latents: Sequence[Float32[Array, "*S"]]) -> Float32[Array, "*S"]:
    return sum((weights[k] * latent for k, latent in enumerate(latents)), start=jnp.zeros_like(latents[0]))


class _Step(NamedTuple):
    """Update (1) from s to t: the ratio of sigmas, c, and h; `r` is that of the point before s (None: order 1)."""

    ratio: float
    c: float
    h: float
    r: float | None

    def predictor(self) -> tuple[float, float, float]:
        """Return the weights of x_s, m_s and the estimate before it."""
        before = 0.0 if self.r is None else 0.5 / self.r
        return self.ratio, self.c * (1 - before), self.c * before

    def corrector(self) -> tuple[float, float, float, float, float]:
        """Return the weights of the predicted x_t (none), x_s, m_s, the estimate before it, and m_t, by (2)."""
        before, rho_t = 0.0, 0.5
        if self.r is not None:
            b_1 = -1 / np.expm1(-self.h) - 1 / self.h
            b_2 = -1 / np.expm1(-self.h) - 2 * b_1 / self.h
            rho_before = (b_1 - b_2) / (1 - self.r)
            before, rho_t = rho_before / self.r, b_1 - rho_before
        return 0.0, self.ratio, self.c * (1 - before - rho_t), self.c * before, self.c * rho_t


def _weights(
    alphas: Float64[np.ndarray, " points"], sigmas: Float64[np.ndarray, " points"]
) -> tuple[Float32[np.ndarray, "steps 5"], Float32[np.ndarray, "steps 3"]]:
    """Return corrector and predictor for a schedule that ends at sigma 0."""
    steps = _steps(alphas, sigmas)
    uncorrected = (1.0, 0.0, 0.0, 0.0, 0.0)
    corrector = [uncorrected, *(step.corrector() for step in steps[:-1])]
    return np.array(corrector, np.float32), np.array([step.predictor() for step in steps], np.float32)


def _steps(alphas: Float64[np.ndarray, " points"], sigmas: Float64[np.ndarray, " points"]) -> list[_Step]:
    with np.errstate(divide="ignore"):
        log_ratios = np.log(alphas) - np.log(sigmas)
    gaps = np.diff(log_ratios)
    num_steps = len(gaps)
    return [
        _Step(
            ratio=sigmas[i + 1] / sigmas[i],
            c=-alphas[i + 1] * np.expm1(-gaps[i]),
            h=gaps[i],
            r=None if i in (0, num_steps - 1) else -gaps[i - 1] / gaps[i],
        )
        for i in range(num_steps)
    ]
