import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.samplers.euler import Euler, euler_sigmas


@pytest.mark.parametrize("num_steps", [1, 2, 7, 50])
@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
def test_a_straight_path_ends_at_the_data_whatever_the_steps(num_steps: int, shift: float) -> None:
    rng = np.random.default_rng(0)
    data, noise = (jnp.asarray(rng.normal(size=(2, 3)), jnp.float32) for _ in range(2))
    sampler = Euler.flow(num_steps, shift)

    x = sampler.start(noise)
    for i in range(num_steps):
        x = sampler.step(x, noise - data, i)

    np.testing.assert_allclose(x, data, atol=1e-6)


def test_the_schedule_falls_from_noise_to_data() -> None:
    sigmas = euler_sigmas(20, 5.0)
    assert sigmas[0] == 1
    assert sigmas[-1] == 0
    assert np.all(np.diff(sigmas) < 0)
