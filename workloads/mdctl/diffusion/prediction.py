"""What a network predicts, whichever way its latents go from data to noise.

A latent and a prediction are both sums of data and noise, with weights that depend on how far the noise has come:

    x          = alpha data + sigma noise                    (1)
    prediction = a data + b noise                            (2)

    epsilon   a = 0,       b = 1         the noise (Ho et al. 2020)
    sample    a = 1,       b = 0         the data
    v         a = -sigma,  b = alpha     (Salimans and Ho 2022, where alpha^2 + sigma^2 = 1)
    velocity  a = -1,      b = 1         dx/ds of a straight line (Lipman et al. 2023, where alpha + sigma = 1)

    data  = (b x - sigma prediction) / d,   d = alpha b - sigma a           (3)
    noise = (alpha prediction - a x) / d                                    (4)   by (1) and (2)

Nothing here depends on the values being arrays of JAX, of NumPy, or numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Level(NamedTuple):
    """How much data and noise a latent holds, by (1)."""

    alpha: Any
    sigma: Any


@dataclass(frozen=True)
class Prediction:
    """A target by (2); `weights` are a and b as functions of alpha and sigma."""

    name: str
    weights: Callable[[Any, Any], tuple[Any, Any]]

    def of(self, data: Any, noise: Any, level: Level) -> Any:
        """Return what a network should predict, by (2)."""
        a, b = self.weights(*level)
        return a * data + b * noise

    def split(self, x: Any, prediction: Any, level: Level) -> tuple[Any, Any]:
        """Return the data and the noise that a prediction at `level` means, by (3) and (4)."""
        alpha, sigma = level
        a, b = self.weights(alpha, sigma)
        d = alpha * b - sigma * a
        return (b * x - sigma * prediction) / d, (alpha * prediction - a * x) / d


EPSILON = Prediction("epsilon", lambda alpha, sigma: (0.0, 1.0))
SAMPLE = Prediction("sample", lambda alpha, sigma: (1.0, 0.0))
V = Prediction("v", lambda alpha, sigma: (-sigma, alpha))
VELOCITY = Prediction("velocity", lambda alpha, sigma: (-1.0, 1.0))

PUBLISHED: Mapping[str, Prediction] = {
    "epsilon": EPSILON,
    "sample": SAMPLE,
    "v_prediction": V,
    "flow_prediction": VELOCITY,
}
"""As `prediction_type` in published scheduler configurations."""
