"""How much the loss at each time weighs.

    none      w(s) = 1
    bell      w(s) = (b(s) - b(0)) / mean of the same,   b(s) = exp(-2 (s - 1/2)^2)                   (1)
    min-snr   w(s) = min(R, gamma) / R of the loss of the noise,  R = alpha^2 / sigma^2 at s          (2)

The bell is zero at both ends. It is the weighting that DiffSynth-Studio trains Wan with, there a table of 1000 steps;
here the mean is taken over the shifted density that the times are drawn from, so that it is one whatever the shift.

Of (2), Hang et al. 2023 (section 3.4), as the loss of what is predicted: a prediction of the data weighs min(R, gamma),
of the noise min(1, gamma / R), and of v min(R, gamma) / (R + 1).
"""

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64

from mdctl.diffusion.densities import Density
from mdctl.diffusion.process import Process

Weighting = Callable[[Float32[Array, " B"]], Float32[Array, " B"]]

MIN_SNR: Mapping[str, Callable[[Float32[Array, " B"], float], Float32[Array, " B"]]] = {
    "sample": jnp.minimum,
    "epsilon": lambda snr_B, gamma: jnp.minimum(1.0, gamma / snr_B),
    "v": lambda snr_B, gamma: jnp.minimum(snr_B, gamma) / (snr_B + 1),
}
"""What a network predicts -> its weight, of the signal-to-noise ratio and gamma."""


def flat(time_B: Float32[Array, " B"]) -> Float32[Array, " B"]:
    """Return ones."""
    return jnp.ones_like(time_B)


def bell(density: Density, shift: float) -> Weighting:
    """Return (1) for times of a density under a shift."""
    edge = math.exp(-0.5)

    def unscaled(s: Float64[np.ndarray, " Q"]) -> Float64[np.ndarray, " Q"]:
        return np.asarray(np.exp(-2 * (s - 0.5) ** 2) - edge)

    scale = 1 / density.mean(unscaled, shift)
    return lambda time_B: scale * (jnp.exp(-2 * jnp.square(time_B - 0.5)) - edge)


def min_snr(process: Process, gamma: float) -> Weighting:
    """Return (2) for what the network of a process predicts."""
    weight = MIN_SNR[process.prediction.name]

    def weighting(time_B: Float32[Array, " B"]) -> Float32[Array, " B"]:
        alpha_B, sigma_B = process.level(time_B)
        return weight(jnp.square(alpha_B / sigma_B), gamma)

    return weighting
