"""What every sampler is: tables made once in float64, and a step that a scan can run.

    carry = sampler.start(noise)
    for i, time in enumerate(sampler.times):
        carry = sampler.step(carry, prediction(sampler.latents(carry), time), i)
    sampler.latents(carry)

A sampler is a pytree of its float32 tables: it may be an argument of a jitted function. What a method remembers from
step to step (earlier predictions) lives in its carry; one that draws noise would hold its keys as well.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float32, Int

Carry = Any
type Index = int | Int[Array, ""]
type Table = Float32[np.ndarray, " steps"] | Float32[Array, " steps"]


@runtime_checkable
class Sampler(Protocol):
    """A numerical method with its schedule of evaluations."""

    @property
    def times(self) -> Table:
        """Return the time of each evaluation, in the network's own unit."""
        ...

    def start(self, noise: Float32[Array, "*S"]) -> Carry:
        """Return the state before the first evaluation."""
        ...

    def latents(self, carry: Carry) -> Float32[Array, "*S"]:
        """Return what the network is to see next; after the last step, the sample."""
        ...

    def step(self, carry: Carry, prediction: Float32[Array, "*S"], i: Index) -> Carry:
        """Advance by evaluation `i`."""
        ...
