import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.densities import DENSITIES
from mdctl.diffusion.flow_matching import shifted
from mdctl.diffusion.weightings import WEIGHTINGS

MIDDLES = (np.arange(200_000) + 0.5) / 200_000


def density_of(name: str, u: np.ndarray) -> np.ndarray:
    if name == "uniform":
        return np.ones_like(u)
    return np.asarray(np.exp(-(np.log(u / (1 - u)) ** 2) / 2) / (np.sqrt(2 * np.pi) * u * (1 - u)))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("shift", [1.0, 3.0, 12.0])
def test_the_mean_over_the_shifted_density_is_one(weighting: str, name: str, shift: float) -> None:
    weight = WEIGHTINGS[weighting](DENSITIES[name], shift)
    weights = np.asarray(weight(jnp.asarray(shifted(MIDDLES, shift), jnp.float32)), np.float64)
    assert np.mean(weights * density_of(name, MIDDLES)) == pytest.approx(1, abs=2e-6)


def test_the_bell_is_symmetric_and_nothing_at_both_ends() -> None:
    weight = WEIGHTINGS["bell"](DENSITIES["uniform"], 5.0)(jnp.array([0.0, 0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(weight[jnp.array([0, 4])], 0, atol=1e-6)
    np.testing.assert_allclose(weight[1], weight[3], rtol=1e-6)
    ratio = (np.exp(-0.125) - np.exp(-0.5)) / (1 - np.exp(-0.5))
    np.testing.assert_allclose(weight[1] / weight[2], ratio, rtol=1e-6)
