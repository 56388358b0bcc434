"""How much the loss at each time weighs.

    none   w(s) = 1
    bell   w(s) = (b(s) - b(0)) / mean of the same,   b(s) = exp(-2 (s - 1/2)^2)        (1)

The bell is zero at both ends. It is the weighting that DiffSynth-Studio trains Wan with, there a table of 1000 steps;
here the mean is taken over the shifted density that the times are drawn from, so that it is one whatever the shift.
"""

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64

from mdctl.diffusion.densities import Density

Weighting = Callable[[Float32[Array, " B"]], Float32[Array, " B"]]


def _flat(density: Density, shift: float) -> Weighting:
    del density, shift
    return jnp.ones_like


def _bell(density: Density, shift: float) -> Weighting:
    edge = math.exp(-0.5)

    def bell(s: Float64[np.ndarray, " Q"]) -> Float64[np.ndarray, " Q"]:
        return np.asarray(np.exp(-2 * (s - 0.5) ** 2) - edge)

    scale = 1 / density.mean(bell, shift)
    return lambda time_B: scale * (jnp.exp(-2 * jnp.square(time_B - 0.5)) - edge)


WEIGHTINGS: Mapping[str, Callable[[Density, float], Weighting]] = {"none": _flat, "bell": _bell}
"""Name -> the weighting for times of a density under a shift."""
