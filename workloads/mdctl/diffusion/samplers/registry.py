"""Samplers by name."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from mdctl.diffusion.samplers.euler import Euler
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.diffusion.samplers.unipc import UniPC
from mdctl.spec.errors import UserError

FLOW_SAMPLERS: Mapping[str, Callable[[int, float], Sampler]] = {"unipc": UniPC.flow, "euler": Euler.flow}


def flow_sampler(name: str, num_steps: int, shift: float) -> Sampler:
    """Return the sampler of that name for a flow-matching network.

    Raises UserError: no such sampler; the message names the nearest.
    """
    if name not in FLOW_SAMPLERS:
        near = get_close_matches(name, FLOW_SAMPLERS, n=1, cutoff=0.0)[0]
        raise UserError(f"no sampler is called {name!r}; the nearest is {near!r} (all: {', '.join(FLOW_SAMPLERS)})")
    return FLOW_SAMPLERS[name](num_steps, shift)
