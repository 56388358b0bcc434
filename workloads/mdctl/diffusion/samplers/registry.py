"""Samplers by name, for each kind of process."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from mdctl.diffusion.prediction import VELOCITY, Prediction
from mdctl.diffusion.samplers import schedule
from mdctl.diffusion.samplers.dpm_solver import dpm_solver
from mdctl.diffusion.samplers.first_order import consistency, first_order
from mdctl.diffusion.samplers.linear_multistep import lms, plms
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.diffusion.samplers.schedule import Schedule, Stepping
from mdctl.diffusion.samplers.unipc import unipc
from mdctl.diffusion.variance_preserving import Betas, VariancePreserving
from mdctl.spec.errors import UserError


class Solver[**Of](NamedTuple):
    """What a name stands for: where the network is evaluated, and what is made of its answers."""

    schedule: Callable[Of, Schedule]
    method: Callable[[Schedule, Prediction], Sampler]


ancestral = partial(first_order, eta=1.0)

FLOW_SAMPLERS: Mapping[str, Solver[[int, float]]] = {
    "unipc": Solver(schedule.flow_unipc, unipc),
    "euler": Solver(schedule.flow_euler, first_order),
    "dpm++2m": Solver(schedule.flow_dpm_solver, dpm_solver),
}
"""For flow matching: schedules of so many steps under a shift."""

VARIANCE_PRESERVING_SAMPLERS: Mapping[str, Solver[[Betas, int, Stepping]]] = {
    "ddim": Solver(schedule.strides, first_order),
    "ddpm": Solver(schedule.stepwise, ancestral),
    "pndm": Solver(schedule.strides, plms),
    "euler": Solver(schedule.interpolated, first_order),
    "euler-ancestral": Solver(schedule.interpolated, ancestral),
    "lms": Solver(schedule.interpolated, lms),
    "dpm++2m": Solver(schedule.multistep, dpm_solver),
    "dpm++2m-karras": Solver(schedule.karras, dpm_solver),
    "unipc": Solver(schedule.multistep, unipc),
    "lcm": Solver(schedule.distilled, consistency),
}


def flow_sampler(name: str, num_steps: int, shift: float, strength: float = 1.0) -> Sampler:
    """Return the sampler of that name for a flow-matching network.

    `strength` is the part of the way that is gone: less than 1 begins with data that hold some noise.

    Raises UserError: no such sampler; the message names the nearest.
    """
    make, method = _named(FLOW_SAMPLERS, name)
    return method(make(num_steps, shift).without(steps_left_out(num_steps, strength)), VELOCITY)


def variance_preserving_sampler(
    name: str, process: VariancePreserving, num_steps: int, stepping: Stepping, strength: float = 1.0
) -> Sampler:
    """Return the sampler of that name for a network of a variance-preserving process; `strength` as above.

    Raises UserError: no such sampler; the message names the nearest.
    """
    make, method = _named(VARIANCE_PRESERVING_SAMPLERS, name)
    steps = make(process.betas, num_steps, stepping).without(steps_left_out(num_steps, strength))
    return method(steps, process.prediction)


def steps_left_out(num_steps: int, strength: float) -> int:
    """Return the steps that come before the part of the way that is gone; at least one step is taken."""
    return min(num_steps - int(num_steps * strength), num_steps - 1)


def _named[T](samplers: Mapping[str, T], name: str) -> T:
    if name not in samplers:
        near = get_close_matches(name, samplers, n=1, cutoff=0.0)[0]
        raise UserError(f"no sampler is called {name!r}; the nearest is {near!r} (all: {', '.join(samplers)})")
    return samplers[name]
