"""What a network was trained to undo, as one value.

A process says how noise is added, what the network predicts, and in which unit it reads the time. Time s runs in
[0, 1] from data to noise. Objective, samplers and evaluation take a process and ask no more.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float32


@runtime_checkable
class Process(Protocol):
    """A way from data to noise, with its prediction target. Times broadcast against latents."""

    def add_noise(
        self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], time: Float32[Array, "*#S"]
    ) -> Float32[Array, "*S"]:
        """Return the noisy latent at `time`."""
        ...

    def target(
        self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], time: Float32[Array, "*#S"]
    ) -> Float32[Array, "*S"]:
        """Return what the network should predict at `time`."""
        ...

    def model_time(self, time: Float32[Array, " B"]) -> Float32[Array, " B"]:
        """Return `time` in the network's own unit."""
        ...
