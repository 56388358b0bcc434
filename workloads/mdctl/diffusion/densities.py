"""How often each time is trained on: densities of u in [0, 1], which `shifted` then moves towards the noise.

    uniform        u = q                                                            (1)
    logit-normal   u = sigmoid(z), z the standard normal quantile of q              (2)   Esser et al. 2024, eq. 19
    biased         uniform, but the part [b, e] is drawn m times as often           (3)

where q is uniform in [0, 1): drawn for each row by itself, or, stratified, for the rows of a batch together,

    q = (offset + position in the batch / rows of the batch) mod 1                  (4)   Kingma et al. 2021, app. I.1

so that each of as many equal parts of [0, 1] has one. A density can also be integrated over, exactly enough to
normalise by (Gauss quadrature in float64).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, UInt32

from mdctl.diffusion.flow_matching import shifted

NUM_NODES = 128

Quantile = Callable[[Float32[Array, " B"]], Float32[Array, " B"]]


@dataclass(frozen=True, kw_only=True)
class Density:
    """A density of u: u as a function of q, and nodes and weights (of sum one) to integrate over it."""

    quantile: Quantile
    nodes: Callable[[], tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]]

    def times(self, q_B: Float32[Array, " B"], shift: float) -> Float32[Array, " B"]:
        """Return one shifted time for each uniform number."""
        return shifted(self.quantile(q_B), shift)

    def mean(self, function: Callable[[Float64[np.ndarray, " Q"]], Float64[np.ndarray, " Q"]], shift: float) -> float:
        """Return the mean of a smooth function of the shifted time."""
        u, weights = self.nodes()
        return float(weights @ function(shifted(u, shift)))


def stratified(rows_B: UInt32[Array, " B"], num_rows: int, offset: Float32[Array, ""]) -> Float32[Array, " B"]:
    """Return (4) for rows of a batch of `num_rows` consecutive ones."""
    positions_B = (rows_B % jnp.uint32(num_rows)).astype(jnp.float32)
    return jnp.mod(offset + positions_B / num_rows, 1.0)


def biased(begin: float, end: float, multiplier: float) -> Quantile:
    """Return the quantile function of (3)."""
    total = 1 + (multiplier - 1) * (end - begin)
    after = begin + multiplier * (end - begin)

    def quantile(q_B: Float32[Array, " B"]) -> Float32[Array, " B"]:
        mass_B = q_B * total
        inside_B = begin + (mass_B - begin) / multiplier
        return jnp.where(mass_B < begin, mass_B, jnp.where(mass_B < after, inside_B, end + mass_B - after))

    return quantile


def _logit_normal(q_B: Float32[Array, " B"]) -> Float32[Array, " B"]:
    return jax.nn.sigmoid(jax.scipy.special.ndtri(q_B))


def _legendre() -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]:
    x, weights = np.polynomial.legendre.leggauss(NUM_NODES)
    return (x + 1) / 2, weights / weights.sum()


def _hermite() -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]:
    z, weights = np.polynomial.hermite_e.hermegauss(NUM_NODES)
    return 1 / (1 + np.exp(-z)), weights / weights.sum()


DENSITIES: Mapping[str, Density] = {
    "uniform": Density(quantile=lambda q_B: q_B, nodes=_legendre),
    "logit-normal": Density(quantile=_logit_normal, nodes=_hermite),
}
