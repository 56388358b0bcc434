"""Samplers by name, for each kind of process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from mdctl.diffusion.prediction import VELOCITY, Level
from mdctl.diffusion.samplers import schedule
from mdctl.diffusion.samplers.dpm_solver import dpm_solver
from mdctl.diffusion.samplers.first_order import consistency, first_order
from mdctl.diffusion.samplers.linear_multistep import lms, plms
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.diffusion.samplers.schedule import DATA, Spacing
from mdctl.diffusion.samplers.unipc import unipc
from mdctl.diffusion.variance_preserving import VariancePreserving
from mdctl.spec.errors import UserError


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


FLOW_SAMPLERS: Mapping[str, Callable[[int, float], Sampler]] = {
    "unipc": lambda steps, shift: unipc(schedule.flow_unipc(steps, shift), VELOCITY),
    "euler": lambda steps, shift: first_order(schedule.flow_euler(steps, shift), VELOCITY),
    "dpm++2m": lambda steps, shift: dpm_solver(schedule.flow_dpm_solver(steps, shift), VELOCITY),
}
"""Name -> the sampler of so many steps under a shift."""


def flow_sampler(name: str, num_steps: int, shift: float) -> Sampler:
    """Return the sampler of that name for a flow-matching network.

    Raises UserError: no such sampler; the message names the nearest.
    """
    return _named(FLOW_SAMPLERS, name)(num_steps, shift)


def _ddim(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return first_order(_strides(process, num_steps, stepping, _last(process, stepping)), process.prediction)


def _ddpm(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    steps = schedule.stepwise(process.betas, num_steps, stepping.spacing, stepping.offset)
    return first_order(steps, process.prediction, eta=1.0)


def _pndm(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return plms(_strides(process, num_steps, stepping, _last(process, stepping)), process.prediction)


def _euler(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return first_order(_interpolated(process, num_steps, stepping), process.prediction)


def _euler_ancestral(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return first_order(_interpolated(process, num_steps, stepping), process.prediction, eta=1.0)


def _lms(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return lms(_interpolated(process, num_steps, stepping), process.prediction)


def _dpm_solver(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return dpm_solver(_multistep(process, num_steps, stepping), process.prediction)


def _dpm_solver_karras(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    del stepping
    return dpm_solver(schedule.karras(process.betas, num_steps), process.prediction)


def _unipc(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return unipc(_multistep(process, num_steps, stepping), process.prediction)


def _lcm(process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    return consistency(schedule.distilled(process.betas, num_steps, stepping.distilled_steps), process.prediction)


VARIANCE_PRESERVING_SAMPLERS: Mapping[str, Callable[[VariancePreserving, int, Stepping], Sampler]] = {
    "ddim": _ddim,
    "ddpm": _ddpm,
    "pndm": _pndm,
    "euler": _euler,
    "euler-ancestral": _euler_ancestral,
    "lms": _lms,
    "dpm++2m": _dpm_solver,
    "dpm++2m-karras": _dpm_solver_karras,
    "unipc": _unipc,
    "lcm": _lcm,
}
"""Name -> the sampler of so many steps of a process."""


def variance_preserving_sampler(name: str, process: VariancePreserving, num_steps: int, stepping: Stepping) -> Sampler:
    """Return the sampler of that name for a network of a variance-preserving process.

    Raises UserError: no such sampler; the message names the nearest.
    """
    return _named(VARIANCE_PRESERVING_SAMPLERS, name)(process, num_steps, stepping)


def _named[T](samplers: Mapping[str, T], name: str) -> T:
    if name not in samplers:
        near = get_close_matches(name, samplers, n=1, cutoff=0.0)[0]
        raise UserError(f"no sampler is called {name!r}; the nearest is {near!r} (all: {', '.join(samplers)})")
    return samplers[name]


def _strides(process: VariancePreserving, num_steps: int, stepping: Stepping, final: Level) -> schedule.Schedule:
    return schedule.strides(process.betas, num_steps, stepping.spacing, stepping.offset, final)


def _interpolated(process: VariancePreserving, num_steps: int, stepping: Stepping) -> schedule.Schedule:
    return schedule.interpolated(process.betas, num_steps, stepping.spacing, stepping.offset)


def _multistep(process: VariancePreserving, num_steps: int, stepping: Stepping) -> schedule.Schedule:
    return schedule.multistep(process.betas, num_steps, stepping.spacing, stepping.offset)


def _last(process: VariancePreserving, stepping: Stepping) -> Level:
    return DATA if stepping.ends_in_data else process.betas.levels[0]
