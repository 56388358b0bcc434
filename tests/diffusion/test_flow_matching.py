import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.diffusion.process import Process

RNG = np.random.default_rng(0)
DATA, NOISE = (jnp.asarray(RNG.normal(size=(4, 2, 3, 3, 5)), jnp.float32) for _ in range(2))


def at(times: list[float]) -> Float32[Array, "B 1 1 1 1"]:
    return jnp.asarray(times, jnp.float32).reshape(-1, 1, 1, 1, 1)


def test_the_ends_are_data_and_noise() -> None:
    process: Process = FlowMatching()
    np.testing.assert_array_equal(process.add_noise(DATA, NOISE, at([0.0] * 4)), DATA)
    np.testing.assert_array_equal(process.add_noise(DATA, NOISE, at([1.0] * 4)), NOISE)


def test_the_target_is_the_velocity_of_the_path() -> None:
    process, time = FlowMatching(), at([0.1, 0.3, 0.5, 0.7])
    change = process.add_noise(DATA, NOISE, time + 0.125) - process.add_noise(DATA, NOISE, time - 0.125)
    np.testing.assert_allclose(change / 0.25, process.target(DATA, NOISE, time), atol=5e-6)


def test_the_target_points_back_to_the_data() -> None:
    process, time = FlowMatching(), at([0.6])
    x = process.add_noise(DATA, NOISE, time)
    data, noise = process.prediction.split(x, process.target(DATA, NOISE, time), process.level(time))
    np.testing.assert_allclose(data, DATA, atol=1e-6)
    np.testing.assert_allclose(noise, NOISE, atol=1e-6)


def test_networks_read_thousandths() -> None:
    np.testing.assert_array_equal(FlowMatching().model_time(jnp.array([0.0, 0.25, 1.0])), [0, 250, 1000])
