"""Flow matching on straight lines (Lipman et al. 2023, Liu et al. 2023), as Wan, Flux and LTX were trained.

    x = (1 - s) data + s noise          (1)
    target = noise - data               (2)   the velocity dx/ds
    model time = 1000 s                 (3)
    data = x - s target                 (4)   from (1) and (2)
    s = shift u / (1 + (shift - 1) u)   (5)   more noise for shift > 1 (Esser et al. 2024, eq. 23)

Time s is the sigma of samplers. Nothing here depends on s being an array of JAX or of NumPy.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float, Float32

MODEL_TIME_UNIT = 1000
"""Steps into which networks were taught to divide [0, 1]."""


@dataclass(frozen=True)
class FlowMatching:
    """The process (1) with the target (2)."""

    def add_noise(
        self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], time: Float32[Array, "*#S"]
    ) -> Float32[Array, "*S"]:
        """Return the point at `time` on the line from data to noise, by (1)."""
        return (1 - time) * data + time * noise

    def target(
        self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], time: Float32[Array, "*#S"]
    ) -> Float32[Array, "*S"]:
        """Return the velocity (2), the same at every time."""
        del time
        return noise - data

    def model_time(self, time: Float32[Array, " B"]) -> Float32[Array, " B"]:
        """Return time in [0, 1000], by (3)."""
        return MODEL_TIME_UNIT * time


def data_estimate(
    x: Float32[Array, "*S"], velocity: Float32[Array, "*S"], sigma: Float32[Array, ""]
) -> Float32[Array, "*S"]:
    """Return the data that a predicted velocity points to, by (4)."""
    return x - sigma * velocity


def shifted[A: (jax.Array, np.ndarray)](u: A, shift: float) -> A:
    """Move times in [0, 1] towards the noise, by (5); in the dtype of `u`."""
    return shift * u / (1 + (shift - 1) * u)


def unshifted(time: Float[np.ndarray, "*S"], shift: float) -> Float[np.ndarray, "*S"]:
    """Return u of (5)."""
    return time / (shift - (shift - 1) * time)
