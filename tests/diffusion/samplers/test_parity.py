"""The schedules and whole loops of diffusers' schedulers, around the affine network of parity/reference/samplers.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.samplers.euler import euler_sigmas
from mdctl.diffusion.samplers.registry import flow_sampler
from mdctl.diffusion.samplers.unipc import unipc_sigmas
from tests.parity.arrays import distance, reference
from tests.parity.tolerances import LOOP

ARRAYS = reference("samplers")
LOOPS = sorted({tuple(name.split("/")[:3]) for name in ARRAYS if "/" in name})
SIGMAS = {"unipc": unipc_sigmas, "euler": euler_sigmas}


@pytest.mark.parametrize(("name", "num_steps", "shift"), LOOPS)
def test_times_are_equal_exactly(name: str, num_steps: str, shift: str) -> None:
    theirs = ARRAYS[f"{name}/{num_steps}/{shift}/times"]
    ours = flow_sampler(name, int(num_steps), float(shift)).times
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("name", "num_steps", "shift"), LOOPS)
def test_sigmas_are_equal_to_the_last_bit_of_float32(name: str, num_steps: str, shift: str) -> None:
    theirs = ARRAYS[f"{name}/{num_steps}/{shift}/sigmas"]
    np.testing.assert_array_equal(SIGMAS[name](int(num_steps), float(shift)).astype(np.float32), theirs)


@pytest.mark.parametrize(("name", "num_steps", "shift"), LOOPS)
def test_every_point_of_the_loop_is_the_references(name: str, num_steps: str, shift: str) -> None:
    sampler = flow_sampler(name, int(num_steps), float(shift))
    matrix, slope, noise = (jnp.asarray(ARRAYS[key]) for key in ("matrix", "slope", "noise"))

    carry, points = sampler.start(noise), []
    for i, time in enumerate(np.asarray(sampler.times)):
        prediction = jnp.matmul(sampler.latents(carry), matrix, precision="highest") + (time / 1000) * slope[None]
        carry = sampler.step(carry, prediction, i)
        points.append(sampler.latents(carry))

    assert distance(jnp.stack(points), ARRAYS[f"{name}/{num_steps}/{shift}/points"]) < LOOP
    assert not any(jnp.isnan(leaf).any() for leaf in jax.tree.leaves(carry))
