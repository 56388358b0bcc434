import jax.numpy as jnp
import numpy as np

from mdctl.training.ema import ema_decay, update_ema


def test_decay_warms_up_to_its_bound() -> None:
    decays = [float(ema_decay(jnp.int32(n), 0.99)) for n in (0, 1, 8, 889, 891, 100_000)]
    np.testing.assert_allclose(decays, [1 / 10, 2 / 11, 9 / 18, 890 / 899, 0.99, 0.99], rtol=1e-6)


def test_the_average_follows_its_formula() -> None:
    values = np.random.default_rng(0).normal(size=6)
    average, expected = {"w": jnp.float32(values[0])}, values[0]
    for n, value in enumerate(values[1:]):
        average = update_ema(average, {"w": jnp.float32(value)}, jnp.int32(n), 0.3)
        decay = min(0.3, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    np.testing.assert_allclose(average["w"], expected, rtol=1e-6)


def test_the_average_is_in_float32_whatever_the_parameters_are() -> None:
    average = update_ema({"w": jnp.float32(1)}, {"w": jnp.bfloat16(1)}, jnp.int32(0), 0.9)
    assert average["w"].dtype == jnp.float32
