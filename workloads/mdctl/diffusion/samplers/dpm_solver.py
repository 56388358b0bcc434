"""DPM-Solver++ 2M (Lu et al. 2022, arXiv:2211.01095, algorithm 2): a line through the last two estimates of the data.

With l = log(alpha / sigma) and h = l' - l for a step from one level to the next, m the data estimate, and r = the step
before divided by h,

    x' = (sigma' / sigma) x + alpha' (1 - e^-h) (m + (m - m_before) / (2 r))                (1)

The first step knows no estimate before it and the last ends at infinite l; both leave out the last term.
"""

from collections.abc import Sequence

import numpy as np

from mdctl.diffusion.prediction import Level, Prediction
from mdctl.diffusion.samplers.sampler import Sampler, Term, recurrence
from mdctl.diffusion.samplers.schedule import Schedule


def dpm_solver(schedule: Schedule, prediction: Prediction) -> Sampler:
    """Return the sampler (1)."""
    last = len(schedule.times) - 1

    def step(i: int, slots: Sequence[Term], predicted: Term, fresh: Term) -> list[Term]:
        x, before = slots
        now, then = schedule.now[i], schedule.then[i]
        estimate, _ = prediction.split(x, predicted, now)
        h = log_ratio(then) - log_ratio(now)
        line = estimate
        if i not in (0, last):
            r = (log_ratio(now) - log_ratio(schedule.now[i - 1])) / h
            line = estimate + (estimate - before) / (2 * r)
        return [then.sigma / now.sigma * x - then.alpha * np.expm1(-h) * line, estimate]

    return recurrence(schedule, 2, step)


def log_ratio(level: Level) -> float:
    """Return log(alpha / sigma); infinite at the data."""
    with np.errstate(divide="ignore"):
        return float(np.log(level.alpha) - np.log(level.sigma))
