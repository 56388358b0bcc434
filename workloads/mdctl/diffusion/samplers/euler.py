"""Euler's method for flow matching, with diffusers' FlowMatchEulerDiscreteScheduler's schedule.

    u_i evenly spaced from s(1) to s(1/1000), S of them;  sigma_i = s(u_i);  sigma_S = 0        (1)
    x_{i+1} = x_i + (sigma_{i+1} - sigma_i) velocity_i                                          (2)

with s the shift of `flow_matching`. The reference shifts the lower end of (1) twice, and in float32; so is it here,
because networks were tuned with these very times.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64

from mdctl.diffusion.flow_matching import MODEL_TIME_UNIT, shifted
from mdctl.diffusion.samplers.sampler import Index, Table


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Euler:
    """Method (2) over schedule (1)."""

    times: Table
    changes: Table

    @classmethod
    def flow(cls, num_steps: int, shift: float) -> "Euler":
        """Return the sampler for a flow-matching network."""
        sigmas = euler_sigmas(num_steps, shift).astype(np.float32)
        return cls(
            times=sigmas[:-1] * np.float32(MODEL_TIME_UNIT),
            changes=np.diff(sigmas),
        )

    def start(self, noise: Float32[Array, "*S"]) -> Float32[Array, "*S"]:
        """Return the noise."""
        return noise

    def latents(self, carry: Float32[Array, "*S"]) -> Float32[Array, "*S"]:
        """Return the carry: it is all there is."""
        return carry

    def step(self, carry: Float32[Array, "*S"], prediction: Float32[Array, "*S"], i: Index) -> Float32[Array, "*S"]:
        """Go along the velocity, by (2)."""
        return carry + jnp.asarray(self.changes)[i] * prediction


def euler_sigmas(num_steps: int, shift: float) -> Float64[np.ndarray, " steps_and_one"]:
    """Return the schedule (1)."""
    first, last = shifted(np.array([1, 1 / MODEL_TIME_UNIT], np.float32), shift).astype(np.float64)
    return np.append(shifted(np.linspace(first, last, num_steps), shift), 0.0)
