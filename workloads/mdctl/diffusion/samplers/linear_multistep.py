"""Linear multistep methods, which weigh what the network said at the last four evaluations.

LMS (Adams-Bashforth for steps of any length, as in k-diffusion): for y = x / alpha and rho = sigma / alpha, dy/drho is
the predicted noise e, and a polynomial through its last values is integrated exactly:

    y' = y + sum over k of e_k * integral from rho to rho' of the k-th Lagrange polynomial           (1)

PLMS (Liu et al. 2022, arXiv:2202.09778, "PNDM" without Runge-Kutta): the predictions are weighed as if steps were
equal, and the result takes one step of DDIM:

    (55 e_0 - 59 e_1 + 37 e_2 - 9 e_3) / 24,  before that (23, -16, 5) / 12 and (3, -1) / 2          (2)

The first step is taken twice: once with the first prediction, then, from the same latent, with the mean of it and of
the prediction where it led. So a loop of S steps evaluates the network S + 1 times.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from mdctl.diffusion.prediction import Prediction
from mdctl.diffusion.samplers.sampler import Sampler, Term, recurrence
from mdctl.diffusion.samplers.schedule import Schedule

ORDER = 4
ADAMS_BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def lms(schedule: Schedule, prediction: Prediction) -> Sampler:
    """Return the sampler (1)."""
    ratios = [level.sigma / level.alpha for level in schedule.now]

    def step(i: int, slots: Sequence[Term], predicted: Term, fresh: Term) -> list[Term]:
        x, *before = slots
        now, then = schedule.now[i], schedule.then[i]
        noise = prediction.split(x, predicted, now)[1]
        known = [noise, *before][: i + 1]
        at = ratios[i::-1][: len(known)]
        weights = _lagrange_integrals(at, ratios[i], then.sigma / then.alpha)
        change = sum(weight * e for weight, e in zip(weights, known, strict=True))
        return [then.alpha * (x / now.alpha + change), noise, *before[:-1]]

    return recurrence(schedule, ORDER, step)


def plms(schedule: Schedule, prediction: Prediction) -> Sampler:
    """Return the sampler (2)."""
    schedule = _first_step_twice(schedule)

    def step(i: int, slots: Sequence[Term], predicted: Term, fresh: Term) -> list[Term]:
        x, start, *before = slots
        known = [predicted, *before]
        mean, memory = _weighed(known[: max(i, 1)]), known[:-1]
        if i == 1:
            x, mean, memory = start, (predicted + before[0]) / 2, before
        data, noise = prediction.split(x, mean, schedule.now[i])
        then = schedule.then[i]
        return [then.alpha * data + then.sigma * noise, x, *memory]

    return recurrence(schedule, 2 + ORDER - 1, step)


def _weighed(known: Sequence[Term]) -> Term:
    weights = ADAMS_BASHFORTH[min(len(known), ORDER) - 1]
    return np.sum([weight * e for weight, e in zip(weights, known, strict=False)], axis=0)


def _first_step_twice(schedule: Schedule) -> Schedule:
    """Return the schedule with its first step taken again, after an evaluation where it led."""
    if len(schedule.times) == 1:
        return schedule
    return replace(
        schedule,
        times=np.insert(schedule.times, 1, schedule.times[1]),
        now=[schedule.now[0], *schedule.now],
        then=[schedule.then[0], *schedule.then],
    )


def _lagrange_integrals(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Return the integral of each Lagrange polynomial over the nodes, exactly: Gauss's rule of ORDER points."""
    points, weights = np.polynomial.legendre.leggauss(ORDER)
    half = (end - start) / 2
    points = start + half * (points + 1)

    def polynomial(node: float) -> Float64[np.ndarray, " points"]:
        factors = [(points - other) / (node - other) for other in nodes if other != node]
        return np.prod([np.ones(ORDER), *factors], axis=0)

    return [float(half * weights @ polynomial(node)) for node in nodes]
