"""Where a sampler evaluates its network, and how far it goes from there.

A schedule is a list of levels from noise to data and the times that go with them. Those of variance-preserving
processes choose steps t out of T by one of three spacings (Lin et al. 2023, table 2, with diffusers' rounding):

    leading    0, r, 2r, ...  plus an offset, r = floor(T / S)
    linspace   S steps evenly spaced over [0, T - 1], both ends among them
    trailing   T, T - T / S, T - 2 T / S, ...  rounded, minus one

Networks were tuned with diffusers' conventions, and they differ: DDIM and PLMS go by strides, from t to
t - floor(T / S), whichever step is evaluated next; the others go from each level to the next, and solvers of a higher
order (`points` = S + 1) leave out the last of one point more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int

from mdctl.diffusion.flow_matching import MODEL_TIME_UNIT, shifted
from mdctl.diffusion.prediction import Level
from mdctl.diffusion.variance_preserving import Betas, level_of

DATA = Level(1.0, 0.0)
BELOW_ONE = 1e-6
KARRAS_RHO = 7.0
ALMOST_NOISE_ALONE = 2.0**-24
"""The abar that stands for 0 where sigma / alpha is asked for, as in diffusers."""

Spacing = Literal["leading", "linspace", "trailing"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Evaluations at `times` and levels `now`, each followed by a step to the level in `then`.

    `first` is the scale of the noise that the loop starts from.
    """

    times: Float32[np.ndarray, " steps"]
    now: Sequence[Level]
    then: Sequence[Level]
    first: float = 1.0

    def without(self, num_steps: int) -> "Schedule":
        """Return the schedule that begins as many steps later: what is made then already holds some data."""
        return replace(self, times=self.times[num_steps:], now=self.now[num_steps:], then=self.then[num_steps:])


@dataclass(frozen=True, kw_only=True)
class Stepping:
    """How a variance-preserving network's repository wants its T steps cut.

    `ends_in_data`: the last stride of DDIM and PLMS ends in data alone, and not at step 0. `distilled_steps`: the steps
    that a latent consistency model was taught.
    """

    spacing: Spacing = "leading"
    offset: int = 1
    ends_in_data: bool = False
    distilled_steps: int = 50


def flow_euler(num_steps: int, shift: float) -> Schedule:
    """Return the schedule of diffusers' FlowMatchEulerDiscreteScheduler.

        u_i evenly spaced from s(1) to s(1/1000);  sigma_i = s(u_i);  the last sigma 0

    with s the shift of `flow_matching`. The reference shifts the lower end twice, and in float32; so is it here,
    because networks were tuned with these very times.
    """
    first, last = shifted(np.array([1, 1 / MODEL_TIME_UNIT], np.float32), shift).astype(np.float64)
    sigmas = shifted(np.linspace(first, last, num_steps), shift)
    times = sigmas.astype(np.float32) * np.float32(MODEL_TIME_UNIT)
    return _straight(sigmas, times)


def flow_unipc(num_steps: int, shift: float) -> Schedule:
    """Return the schedule of diffusers' UniPCMultistepScheduler with `use_flow_sigmas`.

    Values evenly spaced from 1 towards 1/1000, shifted, the first then 1e-6 below 1 (where the signal-to-noise ratio is
    zero), and 0 at the end; the network is given the times truncated to whole numbers.
    """
    sigmas = shifted(np.linspace(1, 1 / MODEL_TIME_UNIT, num_steps + 1)[:-1], shift)
    if abs(sigmas[0] - 1) < BELOW_ONE:
        sigmas[0] -= BELOW_ONE
    return _straight(sigmas, np.trunc(sigmas * MODEL_TIME_UNIT).astype(np.float32))


def flow_dpm_solver(num_steps: int, shift: float) -> Schedule:
    """Return the schedule of diffusers' DPMSolverMultistepScheduler with `use_flow_sigmas`.

    Values evenly spaced from 1 - 1/1000 to 0, shifted; the network is given the times truncated to whole numbers.
    """
    alphas = np.linspace(1, 1 / MODEL_TIME_UNIT, num_steps + 1)
    sigmas = shifted(1 - alphas, shift)[:0:-1]
    return _straight(sigmas, np.trunc(sigmas * MODEL_TIME_UNIT).astype(np.float32))


def spaced(
    num_steps: int, total: int, spacing: Spacing, offset: int, *, points: int | None = None
) -> Float64[np.ndarray, " S"]:
    """Return the steps of a spacing in falling order; `points`: the first `num_steps` of so many."""
    points = points or num_steps
    match spacing:
        case "leading":
            return np.arange(points)[::-1][:num_steps] * float(total // points) + offset
        case "linspace":
            return np.linspace(0, total - 1, points)[::-1][:num_steps]
        case "trailing":
            return np.round(np.arange(total, 0, -total / num_steps)) - 1


def strides(betas: Betas, num_steps: int, stepping: Stepping) -> Schedule:
    """Return the schedule that goes from t to t - floor(T / S), and to the end where that is below 0."""
    steps = _whole(spaced(num_steps, betas.num_steps, stepping.spacing, stepping.offset))
    final = DATA if stepping.ends_in_data else betas.levels[0]
    before = steps - betas.num_steps // num_steps
    return Schedule(
        times=steps.astype(np.float32),
        now=[betas.levels[t] for t in steps],
        then=[betas.levels[t] if t >= 0 else final for t in before],
    )


def stepwise(betas: Betas, num_steps: int, stepping: Stepping) -> Schedule:
    """Return the schedule that goes from each step to the next, and from the last to the data."""
    return _from_each_to_the_next(betas, _whole(spaced(num_steps, betas.num_steps, stepping.spacing, stepping.offset)))


def interpolated(betas: Betas, num_steps: int, stepping: Stepping) -> Schedule:
    """Return the schedule of diffusers' Euler and LMS: steps may be fractions, and sigma / alpha is interpolated.

    It starts from noise of the first level's size, unless the spacing is leading.
    """
    steps = spaced(num_steps, betas.num_steps, stepping.spacing, stepping.offset)
    now = _between(betas, steps.astype(np.float32).astype(np.float64))
    first = 1.0 if stepping.spacing == "leading" else now[0].sigma
    return Schedule(times=steps.astype(np.float32), now=now, then=[*now[1:], DATA], first=first)


def multistep(betas: Betas, num_steps: int, stepping: Stepping) -> Schedule:
    """Return the schedule of diffusers' solvers of a higher order: the last of one point more is left out."""
    steps = np.round(spaced(num_steps, betas.num_steps, stepping.spacing, stepping.offset, points=num_steps + 1))
    now = _between(betas, steps)
    return Schedule(times=steps.astype(np.float32), now=now, then=[*now[1:], DATA])


def karras(betas: Betas, num_steps: int, stepping: Stepping) -> Schedule:
    """Return sigmas (of x / alpha) evenly spaced in sigma^(1/7) (Karras et al. 2022, eq. 5), ending at 0.

    No spacing of steps is read. Times are interpolated in the logarithm of sigma, and rounded.
    """
    del stepping
    ratios = _ratios(betas)
    ramp = np.linspace(ratios[-1] ** (1 / KARRAS_RHO), ratios[0] ** (1 / KARRAS_RHO), num_steps) ** KARRAS_RHO
    times = np.round(np.interp(np.log(ramp), np.log(ratios), np.arange(betas.num_steps)))
    now = [_of_ratio(ratio) for ratio in ramp]
    return Schedule(times=times.astype(np.float32), now=now, then=[*now[1:], DATA])


def distilled(betas: Betas, num_steps: int, stepping: Stepping) -> Schedule:
    """Return the schedule of latent consistency models: some of the steps that the network was distilled with."""
    original_steps = stepping.distilled_steps
    taught = (np.arange(original_steps, 0, -1) * (betas.num_steps // original_steps)) - 1
    steps = taught[np.floor(np.linspace(0, len(taught), num_steps, endpoint=False)).astype(int)]
    return _from_each_to_the_next(betas, steps)


def _whole(steps: Float64[np.ndarray, " S"]) -> Int[np.ndarray, " S"]:
    return np.round(steps).astype(int)


def _from_each_to_the_next(betas: Betas, steps: Int[np.ndarray, " S"]) -> Schedule:
    now = [betas.levels[t] for t in steps]
    return Schedule(times=steps.astype(np.float32), now=now, then=[*now[1:], DATA])


def _straight(sigmas: Float64[np.ndarray, " steps"], times: Float32[np.ndarray, " steps"]) -> Schedule:
    """Return levels on the line from noise to data, each rounded to float32 as the reference has them."""
    now = [Level(1 - sigma, sigma) for sigma in sigmas.astype(np.float32).astype(np.float64).tolist()]
    return Schedule(times=times, now=now, then=[*now[1:], DATA])


def _ratios(betas: Betas) -> Float64[np.ndarray, " T"]:
    alpha_bars = np.where(betas.alpha_bars == 0, ALMOST_NOISE_ALONE, betas.alpha_bars)
    return np.asarray(np.sqrt((1 - alpha_bars) / alpha_bars))


def _between(betas: Betas, steps: Float64[np.ndarray, " S"]) -> list[Level]:
    ratios = np.interp(steps, np.arange(betas.num_steps), _ratios(betas))
    return [_of_ratio(ratio) for ratio in ratios.tolist()]


def _of_ratio(ratio: float) -> Level:
    return level_of(1 / (1 + ratio**2))
