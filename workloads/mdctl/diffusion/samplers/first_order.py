"""Methods that remember nothing: DDIM, DDPM, Euler and Euler ancestral are one, and latent consistency's.

Split the latent into data and noise as the network predicts them, and put them together again for the next level:

    x' = alpha' data + sqrt(sigma'^2 - d^2) noise + d n                                     (1)
    d  = eta (sigma' / sigma) sqrt(1 - alpha^2 / alpha'^2),  n fresh noise                  (2)

eta = 0 is DDIM (Song et al. 2021, eq. 12). The same step, taken from level to level where DDIM goes by whole strides,
is Euler's method for x / alpha over sigma / alpha (Karras et al. 2022, algorithm 1 without churn); and for flow
matching it is Euler's method for the velocity, x' = x + (sigma' - sigma) velocity.

eta = 1 is the posterior of DDPM with its smaller variance (Ho et al. 2020, eq. 7), and Euler ancestral's.

Consistency models (Luo et al. 2023) jump to their estimate of the data and add all noise anew:

    x' = alpha' f + sigma' n,   f = c_skip x + c_out data                                   (3)
    c_skip = 0.25 / (tau^2 + 0.25),  c_out = tau / sqrt(tau^2 + 0.25),  tau = 10 t          (4)
"""

from collections.abc import Sequence

import numpy as np

from mdctl.diffusion.prediction import Level, Prediction
from mdctl.diffusion.samplers.sampler import Sampler, Term, recurrence
from mdctl.diffusion.samplers.schedule import Schedule

CONSISTENCY_TIME_SCALE = 10.0
CONSISTENCY_VARIANCE = 0.25


def first_order(schedule: Schedule, prediction: Prediction, *, eta: float = 0.0) -> Sampler:
    """Return the sampler (1)."""

    def step(i: int, slots: Sequence[Term], predicted: Term, fresh: Term) -> list[Term]:
        now, then = schedule.now[i], schedule.then[i]
        data, noise = prediction.split(slots[0], predicted, now)
        drawn = eta * _posterior_deviation(now, then)
        return [then.alpha * data + np.sqrt(then.sigma**2 - drawn**2) * noise + drawn * fresh]

    return recurrence(schedule, 1, step)


def consistency(schedule: Schedule, prediction: Prediction) -> Sampler:
    """Return the sampler (3)."""

    def step(i: int, slots: Sequence[Term], predicted: Term, fresh: Term) -> list[Term]:
        data, _ = prediction.split(slots[0], predicted, schedule.now[i])
        tau = CONSISTENCY_TIME_SCALE * float(schedule.times[i])
        skip = CONSISTENCY_VARIANCE / (tau**2 + CONSISTENCY_VARIANCE)
        out = tau / np.sqrt(tau**2 + CONSISTENCY_VARIANCE)
        then = schedule.then[i]
        return [then.alpha * (skip * slots[0] + out * data) + then.sigma * fresh]

    return recurrence(schedule, 1, step)


def _posterior_deviation(now: Level, then: Level) -> float:
    return float(then.sigma / now.sigma * np.sqrt(1 - (now.alpha / then.alpha) ** 2))
