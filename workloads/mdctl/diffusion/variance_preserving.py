"""Diffusion in T discrete steps that keep the variance (Ho et al. 2020), as Stable Diffusion was trained.

    x = sqrt(abar_t) data + sqrt(1 - abar_t) noise,   abar_t = product of 1 - beta_k for k <= t       (1)

    linear          beta_k evenly spaced from `start` to `end`
    scaled-linear   sqrt(beta_k) evenly spaced (Rombach et al. 2022)
    squared-cosine  abar(u) = cos^2((u + 0.008) / 1.008 pi / 2) at u = k / T, each beta at most 0.999
                    (Nichol and Dhariwal 2021, eq. 17)

    zero terminal SNR: sqrt(abar_t) <- (sqrt(abar_t) - sqrt(abar_T-1)) sqrt(abar_0) / (sqrt(abar_0) - sqrt(abar_T-1))
                       (Lin et al. 2023, algorithm 1)                                                 (2)

Time s in [0, 1) stands for step t = floor(T s), which is also what the network is given.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, Int32

from mdctl.diffusion.prediction import EPSILON, Level, Prediction
from mdctl.diffusion.process import Process

LARGEST_BETA = 0.999

Kind = Literal["linear", "scaled-linear", "squared-cosine"]


@dataclass(frozen=True, kw_only=True)
class Betas:
    """How fast noise comes, and whether the last step is noise alone, by (2)."""

    kind: Kind = "scaled-linear"
    start: float = 0.00085
    end: float = 0.012
    num_steps: int = 1000
    zero_terminal_snr: bool = False

    @cached_property
    def values(self) -> Float64[np.ndarray, " T"]:
        """Return beta of each step, before (2)."""
        match self.kind:
            case "linear":
                return np.linspace(self.start, self.end, self.num_steps)
            case "scaled-linear":
                return np.asarray(np.linspace(self.start**0.5, self.end**0.5, self.num_steps) ** 2)
            case "squared-cosine":
                u = np.arange(self.num_steps + 1) / self.num_steps
                products = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
                return np.asarray(np.minimum(1 - products[1:] / products[:-1], LARGEST_BETA))

    @cached_property
    def alpha_bars(self) -> Float64[np.ndarray, " T"]:
        """Return abar of each step, by (1) and (2)."""
        products = np.cumprod(1 - self.values)
        if not self.zero_terminal_snr:
            return products
        roots = np.sqrt(products)
        return np.asarray(((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))) ** 2)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Return alpha and sigma of each step."""
        return tuple(map(level_of, self.alpha_bars.tolist()))


@dataclass(frozen=True)
class VariancePreserving(Process):
    """The process (1), for a network that predicts as it says."""

    betas: Betas = Betas()
    target_is: Prediction = EPSILON

    @property
    def prediction(self) -> Prediction:
        """Return what the network predicts."""
        return self.target_is

    def step(self, time: Float32[Array, "*S"]) -> Int32[Array, "*S"]:
        """Return the step that a time stands for."""
        step = jnp.floor(time * self.betas.num_steps).astype(jnp.int32)
        return jnp.clip(step, 0, self.betas.num_steps - 1)

    def level(self, time: Float32[Array, "*S"]) -> Level:
        """Return alpha and sigma of a time's step, by (1)."""
        alphas, sigmas = np.array(self.betas.levels, np.float32).T
        step = self.step(time)
        return Level(jnp.asarray(alphas)[step], jnp.asarray(sigmas)[step])

    def model_time(self, time: Float32[Array, " B"]) -> Float32[Array, " B"]:
        """Return a time's step."""
        return self.step(time).astype(jnp.float32)


def level_of(alpha_bar: float) -> Level:
    """Return alpha and sigma for the share of data's variance."""
    return Level(alpha_bar**0.5, (1 - alpha_bar) ** 0.5)
