import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.densities import DENSITIES
from mdctl.diffusion.flow_matching import shifted
from mdctl.diffusion.prediction import EPSILON, SAMPLE, Prediction, V
from mdctl.diffusion.variance_preserving import Betas, VariancePreserving
from mdctl.diffusion.weightings import bell, min_snr

MIDDLES = (np.arange(200_000) + 0.5) / 200_000
GAMMA = 5.0


def density_of(name: str, u: np.ndarray) -> np.ndarray:
    if name == "uniform":
        return np.ones_like(u)
    return np.asarray(np.exp(-(np.log(u / (1 - u)) ** 2) / 2) / (np.sqrt(2 * np.pi) * u * (1 - u)))


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("shift", [1.0, 3.0, 12.0])
def test_the_mean_over_the_shifted_density_is_one(name: str, shift: float) -> None:
    weight = bell(DENSITIES[name], shift)
    weights = np.asarray(weight(jnp.asarray(shifted(MIDDLES, shift), jnp.float32)), np.float64)
    assert np.mean(weights * density_of(name, MIDDLES)) == pytest.approx(1, abs=2e-6)


def test_the_bell_is_symmetric_and_nothing_at_both_ends() -> None:
    weight = bell(DENSITIES["uniform"], 5.0)(jnp.array([0.0, 0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(weight[jnp.array([0, 4])], 0, atol=1e-6)
    np.testing.assert_allclose(weight[1], weight[3], rtol=1e-6)
    ratio = (np.exp(-0.125) - np.exp(-0.5)) / (1 - np.exp(-0.5))
    np.testing.assert_allclose(weight[1] / weight[2], ratio, rtol=1e-6)


@pytest.mark.parametrize("prediction", [EPSILON, SAMPLE, V], ids=lambda prediction: prediction.name)
def test_min_snr_bounds_the_loss_of_the_data_whatever_is_predicted(prediction: Prediction) -> None:
    """An error in the prediction is one in the estimate of the data, which always weighs min(R, gamma)."""
    process = VariancePreserving(Betas(), prediction)
    times = jnp.linspace(0.0, 0.999, 25)
    alpha, sigma = (np.asarray(x, np.float64) for x in process.level(times))
    a, b = prediction.weights(alpha, sigma)
    # By (3) of mdctl.diffusion.prediction: an error of 1 in the prediction moves the data by sigma / d.
    moved = sigma / (alpha * b - sigma * a)
    snr = (alpha / sigma) ** 2
    assert snr.min() < GAMMA < snr.max()
    np.testing.assert_allclose(min_snr(process, GAMMA)(times), np.minimum(snr, GAMMA) * moved**2, rtol=1e-4)


def test_min_snr_is_finite_where_noise_is_alone() -> None:
    betas = Betas(zero_terminal_snr=True)
    last = jnp.array([0.9999])
    assert float(min_snr(VariancePreserving(betas, V), GAMMA)(last)[0]) == 0
    assert float(min_snr(VariancePreserving(betas, EPSILON), GAMMA)(last)[0]) == 1
