import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.prediction import EPSILON, V
from mdctl.diffusion.variance_preserving import Betas, VariancePreserving

RNG = np.random.default_rng(0)
DATA, NOISE = (jnp.asarray(RNG.normal(size=(3, 1, 2, 2, 4)), jnp.float32) for _ in range(2))
TIMES = jnp.array([0.0, 0.5, 0.9999], jnp.float32)
KINDS = ("linear", "scaled-linear", "squared-cosine")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_noise_only_grows_and_the_variance_stays(kind, zero_terminal_snr) -> None:
    betas = Betas(kind=kind, zero_terminal_snr=zero_terminal_snr)
    alphas, sigmas = np.array(betas.levels).T
    assert np.all(np.diff(alphas) < 0)
    np.testing.assert_allclose(alphas**2 + sigmas**2, 1)
    assert (alphas[-1] == 0) == zero_terminal_snr


def test_the_ends_of_the_betas() -> None:
    assert Betas(kind="linear", start=0.1, end=0.3, num_steps=3).values.tolist() == pytest.approx([0.1, 0.2, 0.3])
    scaled = Betas(kind="scaled-linear", start=0.01, end=0.09, num_steps=3).values
    assert scaled.tolist() == pytest.approx([0.01, 0.04, 0.09])


def test_the_cosine_is_that_of_nichol_and_dhariwal() -> None:
    betas = Betas(kind="squared-cosine")
    t = np.array([0, 250, 500, 900])
    expected = (np.cos(((t + 1) / 1000 + 0.008) / 1.008 * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2)) ** 2
    np.testing.assert_allclose(betas.alpha_bars[t], expected, rtol=1e-9)


def test_zero_terminal_snr_keeps_the_first_step() -> None:
    plain, zero = Betas(), Betas(zero_terminal_snr=True)
    assert zero.alpha_bars[0] == pytest.approx(plain.alpha_bars[0])
    roots = np.sqrt(plain.alpha_bars)
    share = (roots - roots[-1]) / (roots[0] - roots[-1])
    np.testing.assert_allclose(np.sqrt(zero.alpha_bars), share * roots[0], atol=1e-12)


def test_a_network_reads_the_step_that_a_time_stands_for() -> None:
    np.testing.assert_array_equal(VariancePreserving().model_time(TIMES), [0, 500, 999])
    np.testing.assert_array_equal(VariancePreserving().model_time(jnp.ones(1)), [999])


@pytest.mark.parametrize("prediction", [EPSILON, V], ids=lambda prediction: prediction.name)
def test_noise_is_added_at_the_level_of_the_step(prediction) -> None:
    process = VariancePreserving(target_is=prediction)
    time = TIMES.reshape(-1, 1, 1, 1, 1)
    noisy, target = process.add_noise(DATA, NOISE, time), process.target(DATA, NOISE, time)
    for row, step in enumerate((0, 500, 999)):
        level = process.betas.levels[step]
        np.testing.assert_allclose(noisy[row], level.alpha * DATA[row] + level.sigma * NOISE[row], atol=1e-6)
        np.testing.assert_allclose(target[row], prediction.of(DATA[row], NOISE[row], level), atol=1e-6)
