"""UniPC of order 2 with B(h) = e^h - 1 (Zhao et al. 2023, arXiv:2302.04867), on estimates of the data.

Let l = log(alpha / sigma), h = l_t - l_s > 0 for a step from s to t, and m the data estimate at an evaluated point.
With c = alpha_t (1 - e^-h) every update has the form

    x_t = (sigma_t / sigma_s) x_s + c (m_s + sum_k rho_k (m_k - m_s) / r_k),    r_k = (l_k - l_s) / h       (1)

The predictor knows the point before s, with rho = 1/2 (order 2), or nothing (order 1). Once the network has answered at
t, for which r = 1, the corrector takes the step again with that answer among the m_k: alone with rho = 1/2 (order 1),
or beside the point before s, with (order 2)

    rho_before + rho_t = b_1,                 b_1 = 1 / (1 - e^-h) - 1 / h
    r_before rho_before + rho_t = b_2,        b_2 = 1 / (1 - e^-h) - 2 b_1 / h                              (2)

The first step is of order 1 for want of history; so is the last, which ends at infinite l, where (1) is the data
estimate itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdctl.diffusion.prediction import Prediction
from mdctl.diffusion.samplers.dpm_solver import log_ratio
from mdctl.diffusion.samplers.sampler import Sampler, Term, recurrence
from mdctl.diffusion.samplers.schedule import Schedule


def unipc(schedule: Schedule, prediction: Prediction) -> Sampler:
    """Return the sampler; its slots: the predicted point, the one it was predicted from, the last two estimates."""
    updates = [_Update.of(schedule, i) for i in range(len(schedule.times))]

    def step(i: int, slots: Sequence[Term], predicted: Term, fresh: Term) -> list[Term]:
        x, previous, newest, older = slots
        estimate, _ = prediction.split(x, predicted, schedule.now[i])
        corrected = updates[i - 1].corrected(previous, newest, older, estimate) if i else x
        return [updates[i].predicted(corrected, estimate, newest), corrected, estimate, newest]

    return recurrence(schedule, 4, step)


@dataclass(frozen=True)
class _Update:
    """Step (1) from s to t: the ratio of sigmas, c, and h; `r` is that of the point before s (None: order 1)."""

    ratio: float
    c: float
    h: float
    r: float | None

    @classmethod
    def of(cls, schedule: Schedule, i: int) -> "_Update":
        now, then = schedule.now[i], schedule.then[i]
        h = log_ratio(then) - log_ratio(now)
        alone = i in (0, len(schedule.times) - 1)
        return cls(
            ratio=then.sigma / now.sigma,
            c=float(-then.alpha * np.expm1(-h)),
            h=h,
            r=None if alone else (log_ratio(schedule.now[i - 1]) - log_ratio(now)) / h,
        )

    def predicted(self, x: Term, estimate: Term, before: Term) -> Term:
        """Return x_t, not yet evaluated."""
        bend = 0.0 if self.r is None else 0.5 / self.r * (before - estimate)
        return np.asarray(self.ratio * x + self.c * (estimate + bend))

    def corrected(self, x: Term, estimate: Term, before: Term, at_t: Term) -> Term:
        """Return x_t, with the estimate there, by (2)."""
        if self.r is None:
            return np.asarray(self.ratio * x + self.c * (estimate + 0.5 * (at_t - estimate)))
        b_1 = -1 / np.expm1(-self.h) - 1 / self.h
        b_2 = -1 / np.expm1(-self.h) - 2 * b_1 / self.h
        rho_before = (b_1 - b_2) / (1 - self.r)
        bend = rho_before / self.r * (before - estimate) + (b_1 - rho_before) * (at_t - estimate)
        return np.asarray(self.ratio * x + self.c * (estimate + bend))
