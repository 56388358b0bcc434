from math import erf
from statistics import NormalDist

import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.densities import DENSITIES
from mdctl.diffusion.flow_matching import shifted
from mdctl.diffusion.randomness import Stream, row_keys, stream_key

NUM_DRAWS = 200_000
CRITICAL = 1.63 / NUM_DRAWS**0.5
"""Kolmogorov's distance that one sample in a hundred exceeds."""


def cumulative(name: str, u: np.ndarray) -> np.ndarray:
    """Return P(U <= u)."""
    if name == "uniform":
        return u
    return np.array([(1 + erf(np.log(each / (1 - each)) / 2**0.5)) / 2 for each in u])


def kolmogorov(times: np.ndarray, name: str, shift: float) -> float:
    """Return the largest distance of the empirical distribution from the closed form."""
    ordered = np.sort(times)
    expected = cumulative(name, ordered / (shift - (shift - 1) * ordered))
    below = np.arange(len(ordered)) / len(ordered)
    return float(max(np.abs(expected - below).max(), np.abs(expected - below - 1 / len(ordered)).max()))


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
def test_times_follow_their_density(name: str, shift: float) -> None:
    keys = row_keys(stream_key(Stream.TRAINING, 0), jnp.arange(NUM_DRAWS, dtype=jnp.uint32))
    times = np.asarray(DENSITIES[name].times(keys, shift), np.float64)
    assert kolmogorov(times, name, shift) < CRITICAL
    assert kolmogorov(times, name, shift * 1.02) > CRITICAL


@pytest.mark.parametrize("name", DENSITIES)
def test_means_of_functions_are_exact(name: str) -> None:
    quantiles = {"uniform": lambda p: p, "logit-normal": lambda p: 1 / (1 + np.exp(-NormalDist().inv_cdf(p)))}
    middles = [quantiles[name]((i + 0.5) / 20_000) for i in range(20_000)]
    expected = np.mean(np.cos(shifted(np.array(middles), 3.0)))
    assert DENSITIES[name].mean(np.cos, 3.0) == pytest.approx(expected, abs=1e-8)
