"""How often each time is trained on: densities of u in [0, 1], which `shifted` then moves towards the noise.

    uniform        u ~ U[0, 1]
    logit-normal   u = sigmoid(z), z ~ N(0, 1)            (Esser et al. 2024, eq. 19 with m = 0, s = 1)

A density can be drawn from, and integrated over exactly enough to normalise by (Gauss quadrature in float64).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, Key

from mdctl.diffusion.flow_matching import shifted

NUM_NODES = 128


@dataclass(frozen=True, kw_only=True)
class Density:
    """A density of u: how to draw from it, and nodes and weights (of sum one) to integrate over it."""

    draw: Callable[[Key[Array, ""]], Float32[Array, ""]]
    nodes: Callable[[], tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]]

    def times(self, keys_B: Key[Array, " B"], shift: float) -> Float32[Array, " B"]:
        """Draw one shifted time for each key."""
        return shifted(jax.vmap(self.draw)(keys_B), shift)

    def mean(self, function: Callable[[Float64[np.ndarray, " Q"]], Float64[np.ndarray, " Q"]], shift: float) -> float:
        """Return the mean of a smooth function of the shifted time."""
        u, weights = self.nodes()
        return float(weights @ function(shifted(u, shift)))


def _draw_uniform(key: Key[Array, ""]) -> Float32[Array, ""]:
    return jax.random.uniform(key, (), jnp.float32)


def _draw_logit_normal(key: Key[Array, ""]) -> Float32[Array, ""]:
    return jax.nn.sigmoid(jax.random.normal(key, (), jnp.float32))


def _legendre() -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]:
    x, weights = np.polynomial.legendre.leggauss(NUM_NODES)
    return (x + 1) / 2, weights / weights.sum()


def _hermite() -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]:
    z, weights = np.polynomial.hermite_e.hermegauss(NUM_NODES)
    return 1 / (1 + np.exp(-z)), weights / weights.sum()


DENSITIES: Mapping[str, Density] = {
    "uniform": Density(draw=_draw_uniform, nodes=_legendre),
    "logit-normal": Density(draw=_draw_logit_normal, nodes=_hermite),
}
