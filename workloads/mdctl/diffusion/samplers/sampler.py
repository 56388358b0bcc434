"""What every sampler is: a linear recurrence, its weights made once in float64, and a step that a scan can run.

    carry = sampler.start(noise)
    for i, time in enumerate(sampler.times):
        carry = sampler.step(carry, prediction(sampler.latents(carry), time), i)
    sampler.latents(carry)

All methods here are linear in what they have seen. With slots z (z_0 is what the network sees next, the others what the
method remembers), a prediction p and, for those that draw it, fresh noise n:

    z'_j = sum over k of W_ijk z_k  +  W_ij,p p  +  W_ij,n n                                   (1)

A method is written as the arithmetic of one step. `recurrence` runs that arithmetic on unit vectors, and what comes out
are the weights W: the papers' equations can be read in the code, their constants are exact to float64, and the loop
does nothing but (1), whichever the method. Latents are those of the network's process throughout, x = alpha data +
sigma noise; methods that the literature writes for x / alpha are rewritten, and give the same numbers.

A sampler is a pytree of its float32 tables: it may be an argument of a jitted function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, Int

from mdctl.diffusion.samplers.schedule import Schedule

type Index = int | Int[Array, ""]
type Table = Float32[np.ndarray, " steps"] | Float32[Array, " steps"]
type Weights = Float32[np.ndarray, "steps slots terms"] | Float32[Array, "steps slots terms"]
type Scale = float | Float32[Array, ""]
type Levels = Float32[np.ndarray, "points 2"] | Float32[Array, "points 2"]
type Carry = tuple[Float32[Array, "*S"], ...]

type Term = Float64[np.ndarray, " terms"]
"""Something a step reads, or makes of that, as weights of all it reads."""

Step = Callable[[int, Sequence[Term], Term, Term], Sequence[Term]]
"""(i, slots, prediction, noise) -> the slots after step i."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sampler:
    """Recurrence (1): `times` in the network's own unit, `first` what the noise is scaled by at the start.

    `levels` are alpha and sigma of what the network sees before each step, and after the last.
    """

    times: Table
    weights: Weights
    levels: Levels
    first: Scale
    draws: bool = field(metadata={"static": True})

    def start(self, noise: Float32[Array, "*S"], data: Float32[Array, "*S"] | None = None) -> Carry:
        """Return the state before the first evaluation: of noise alone, or of data with that level's noise."""
        x = self.first * noise if data is None else self.noisy(data, noise, 0)
        return (x, *[jnp.zeros_like(noise)] * (self.weights.shape[1] - 1))

    def noisy(self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], i: Index) -> Float32[Array, "*S"]:
        """Return data with as much noise as the network sees at evaluation `i`."""
        alpha, sigma = jnp.asarray(self.levels)[i]
        return alpha * data + sigma * noise

    def latents(self, carry: Carry) -> Float32[Array, "*S"]:
        """Return what the network is to see next; after the last step, the sample."""
        return carry[0]

    def step(
        self,
        carry: Carry,
        prediction: Float32[Array, "*S"],
        i: Index,
        noise: Float32[Array, "*S"] | None = None,
    ) -> Carry:
        """Advance by evaluation `i`, by (1); fresh noise is read where the sampler draws."""
        assert self.draws == (noise is not None)
        terms = (*carry, prediction) if noise is None else (*carry, prediction, noise)
        weights = jnp.asarray(self.weights)[i]
        return tuple(
            sum((row[k] * term for k, term in enumerate(terms)), start=jnp.zeros_like(prediction)) for row in weights
        )


def recurrence(schedule: Schedule, num_slots: int, step: Step) -> Sampler:
    """Return the sampler that takes `step` along a schedule, remembering what `num_slots` hold."""
    *slots, prediction, noise = np.eye(num_slots + 2)
    weights = np.stack([step(i, slots, prediction, noise) for i in range(len(schedule.times))])
    draws = bool(np.any(weights[..., -1]))
    return Sampler(
        times=schedule.times,
        weights=weights[..., : num_slots + 1 + draws].astype(np.float32),
        levels=np.array([schedule.now[0], *schedule.then], np.float32),
        first=schedule.first,
        draws=draws,
    )
