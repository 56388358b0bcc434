"""Flow matching on straight lines (Lipman et al. 2023, Liu et al. 2023), as Wan, Flux and LTX were trained.

    x = (1 - s) data + s noise          (1)
    target = noise - data               (2)   the velocity dx/ds
    model time = 1000 s                 (3)
    s = shift u / (1 + (shift - 1) u)   (4)   more noise for shift > 1 (Esser et al. 2024, eq. 23)

Time s is the sigma of samplers. Nothing here depends on s being an array of JAX or of NumPy.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float32

from mdctl.diffusion.prediction import VELOCITY, Level, Prediction
from mdctl.diffusion.process import Process

MODEL_TIME_UNIT = 1000
"""Steps into which networks were taught to divide [0, 1]."""


@dataclass(frozen=True)
class FlowMatching(Process):
    """The process (1) with the target (2)."""

    @property
    def prediction(self) -> Prediction:
        """Return the velocity (2)."""
        return VELOCITY

    def level(self, time: Float32[Array, "*S"]) -> Level:
        """Return the point at `time` on the line from data to noise, by (1)."""
        return Level(1 - time, time)

    def model_time(self, time: Float32[Array, " B"]) -> Float32[Array, " B"]:
        """Return time in [0, 1000], by (3)."""
        return MODEL_TIME_UNIT * time


def shifted[A: (jax.Array, np.ndarray)](u: A, shift: float) -> A:
    """Move times in [0, 1] towards the noise, by (4); in the dtype of `u`."""
    return shift * u / (1 + (shift - 1) * u)
