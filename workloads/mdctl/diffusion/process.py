"""What a network was trained to undo, as one value.

A process says how noise is added, what the network predicts, and in which unit it reads the time. Time s runs in
[0, 1] from data to noise. Objective, samplers and evaluation take a process and ask no more.
"""

from abc import ABC, abstractmethod

from jaxtyping import Array, Float32

from mdctl.diffusion.prediction import Level, Prediction


class Process(ABC):
    """A way from data to noise, with its prediction target. Times broadcast against latents."""

    @property
    @abstractmethod
    def prediction(self) -> Prediction:
        """Return what the network predicts."""

    @abstractmethod
    def level(self, time: Float32[Array, "*S"]) -> Level:
        """Return how much data and noise a latent holds at `time`."""

    @abstractmethod
    def model_time(self, time: Float32[Array, " B"]) -> Float32[Array, " B"]:
        """Return `time` in the network's own unit."""

    def add_noise(
        self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], time: Float32[Array, "*#S"]
    ) -> Float32[Array, "*S"]:
        """Return the noisy latent at `time`."""
        alpha, sigma = self.level(time)
        noisy: Float32[Array, "*S"] = alpha * data + sigma * noise
        return noisy

    def target(
        self, data: Float32[Array, "*S"], noise: Float32[Array, "*S"], time: Float32[Array, "*#S"]
    ) -> Float32[Array, "*S"]:
        """Return what the network should predict at `time`."""
        target: Float32[Array, "*S"] = self.prediction.of(data, noise, self.level(time))
        return target
