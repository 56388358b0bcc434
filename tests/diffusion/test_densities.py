from math import erf
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.densities import DENSITIES, biased, stratified
from mdctl.diffusion.flow_matching import shifted
from mdctl.diffusion.randomness import Stream, stream_key

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
    uniform = jax.random.uniform(stream_key(Stream.TRAINING, 0), (NUM_DRAWS,), jnp.float32)
    times = np.asarray(DENSITIES[name].times(uniform, shift), np.float64)
    assert kolmogorov(times, name, shift) < CRITICAL
    assert kolmogorov(times, name, shift * 1.02) > CRITICAL


@pytest.mark.parametrize("name", DENSITIES)
def test_means_of_functions_are_exact(name: str) -> None:
    quantiles = {"uniform": lambda p: p, "logit-normal": lambda p: 1 / (1 + np.exp(-NormalDist().inv_cdf(p)))}
    middles = [quantiles[name]((i + 0.5) / 20_000) for i in range(20_000)]
    expected = np.mean(np.cos(shifted(np.array(middles), 3.0)))
    assert DENSITIES[name].mean(np.cos, 3.0) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("first", [0, 24, 2**32 - 8])
def test_a_stratified_batch_has_one_in_each_part_whatever_its_offset(first: int) -> None:
    rows = jnp.asarray((first + np.arange(8)) % 2**32, jnp.uint32)
    offsets = jax.random.uniform(stream_key(Stream.TIMES, 0), (2000,), jnp.float32)
    q = np.stack([np.asarray(stratified(rows, 8, offset)) for offset in offsets[:50]])
    assert (np.sort(np.floor(q * 8), axis=1) == np.arange(8)).all()
    of_one_row = np.asarray(jax.vmap(lambda offset: stratified(rows, 8, offset)[3])(offsets), np.float64)
    assert kolmogorov(of_one_row, "uniform", 1.0) < 1.63 / len(offsets) ** 0.5


def test_a_part_is_drawn_so_many_times_as_often() -> None:
    q = jnp.asarray((np.arange(100_000) + 0.5) / 100_000, jnp.float32)
    for begin, end, multiplier in ((0.75, 1.0, 4.0), (0.2, 0.5, 0.25), (0.0, 0.5, 3.0)):
        u = np.asarray(biased(begin, end, multiplier)(q), np.float64)
        inside = ((u >= begin) & (u < end)).mean()
        expected = multiplier * (end - begin) / (1 + (multiplier - 1) * (end - begin))
        assert inside == pytest.approx(expected, abs=1e-4)
        assert (np.diff(u) >= 0).all()
        assert 0 <= u.min() <= u.max() <= 1
