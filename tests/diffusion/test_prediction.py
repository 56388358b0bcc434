import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.diffusion.prediction import EPSILON, PUBLISHED, SAMPLE, VELOCITY, Level, Prediction, V

ANGLES = st.floats(0.05, 1.5)
VALUES = st.floats(-3, 3)


@pytest.mark.parametrize("prediction", PUBLISHED.values(), ids=lambda prediction: prediction.name)
@given(angle=ANGLES, data=VALUES, noise=VALUES)
def test_a_prediction_gives_data_and_noise_back(
    prediction: Prediction, angle: float, data: float, noise: float
) -> None:
    sigma = np.sin(angle)
    level = Level(1 - sigma, sigma) if prediction is VELOCITY else Level(np.cos(angle), sigma)
    x = level.alpha * data + level.sigma * noise
    found = prediction.split(x, prediction.of(data, noise, level), level)
    np.testing.assert_allclose(found, (data, noise), atol=1e-12)


def test_what_each_predicts() -> None:
    level = Level(0.8, 0.6)
    assert EPSILON.of(2.0, 3.0, level) == 3
    assert SAMPLE.of(2.0, 3.0, level) == 2
    assert V.of(2.0, 3.0, level) == pytest.approx(0.8 * 3 - 0.6 * 2)  # Salimans and Ho 2022, appendix D
    assert VELOCITY.of(2.0, 3.0, level) == 1
