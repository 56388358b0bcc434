import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.spec.training import Schedule
from mdctl.training.learning_rate import make_learning_rate


def rates(name: str, num_steps: int, warmup: int = 0, final: float = 0.0) -> np.ndarray:
    schedule = Schedule.model_validate({"name": name, "warmup_steps": warmup, "final_fraction": final})
    rate = make_learning_rate(schedule, 2.0, num_steps)
    return np.array([rate(jnp.int32(step)) for step in range(num_steps + 2)])


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_warm_up_rises_evenly_to_the_peak_and_never_stands_at_nothing(name: str) -> None:
    np.testing.assert_allclose(rates(name, 20, warmup=3)[:4], [0.5, 1.0, 1.5, 2.0], rtol=1e-6)


def test_constant_stays() -> None:
    np.testing.assert_array_equal(rates("constant", 10, final=0.5), 2.0)


def test_linear_ends_at_its_final_fraction_and_stays_there() -> None:
    np.testing.assert_allclose(rates("linear", 5, final=0.5), [2, 1.75, 1.5, 1.25, 1, 1, 1], rtol=1e-6)


def test_cosine_is_half_way_in_the_middle() -> None:
    np.testing.assert_allclose(rates("cosine", 9, final=0.1)[[0, 4, 8, 10]], [2, 1.1, 0.2, 0.2], rtol=1e-6)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_a_warm_up_as_long_as_the_run_is_all_there_is(name: str) -> None:
    np.testing.assert_allclose(rates(name, 3, warmup=3)[:3], [0.5, 1.0, 1.5], rtol=1e-6)
