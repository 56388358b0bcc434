"""The schedules and whole loops of diffusers' schedulers, around the affine network of parity/reference/samplers.py."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.diffusion.prediction import PUBLISHED
from mdctl.diffusion.samplers import schedule
from mdctl.diffusion.samplers.registry import (
    FLOW_SAMPLERS,
    VARIANCE_PRESERVING_SAMPLERS,
    flow_sampler,
    variance_preserving_sampler,
)
from mdctl.diffusion.samplers.sampler import Sampler
from mdctl.diffusion.samplers.schedule import Stepping
from mdctl.diffusion.variance_preserving import Betas, Kind, VariancePreserving
from tests.parity.arrays import distance, reference
from tests.parity.tolerances import LOOP

ARRAYS = reference("samplers")
FLOW = sorted({tuple(name.split("/")[:3]) for name in ARRAYS if "/" in name and not name.startswith("vp/")})
VARIANCE_PRESERVING = sorted({name.rpartition("/")[0] for name in ARRAYS if name.startswith("vp/")})
SCHEDULES = {"unipc": schedule.flow_unipc, "dpm++2m": schedule.flow_dpm_solver, "euler": schedule.flow_euler}

KINDS: dict[str, Kind] = {"linear": "linear", "scaled_linear": "scaled-linear", "squaredcos_cap_v2": "squared-cosine"}


def test_every_sampler_has_a_reference() -> None:
    assert {name for name, _, _ in FLOW} == set(FLOW_SAMPLERS)
    assert {name.split("/")[1] for name in VARIANCE_PRESERVING} == set(VARIANCE_PRESERVING_SAMPLERS)


def points(sampler: Sampler) -> jax.Array:
    """Return what the network sees after each step; the last is the sample."""
    matrix, slope, noise = (jnp.asarray(ARRAYS[key]) for key in ("matrix", "slope", "noise"))
    carry, seen = sampler.start(noise), []
    for i, time in enumerate(np.asarray(sampler.times)):
        prediction = jnp.matmul(sampler.latents(carry), matrix, precision="highest") + (time / 1000) * slope[None]
        drawn = jnp.asarray(ARRAYS["drawn"][i]) if sampler.draws else None
        carry = sampler.step(carry, prediction, i, drawn)
        seen.append(sampler.latents(carry))
    assert not any(jnp.isnan(leaf).any() for leaf in jax.tree.leaves(carry))
    return jnp.stack(seen)


@pytest.mark.parametrize(("name", "num_steps", "shift"), FLOW)
def test_times_are_equal_exactly(name: str, num_steps: str, shift: str) -> None:
    theirs = ARRAYS[f"{name}/{num_steps}/{shift}/times"]
    ours = flow_sampler(name, int(num_steps), float(shift)).times
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("name", "num_steps", "shift"), FLOW)
def test_sigmas_are_equal_to_the_last_bit_of_float32(name: str, num_steps: str, shift: str) -> None:
    ours = SCHEDULES[name](int(num_steps), float(shift))
    sigmas = np.array([level.sigma for level in (*ours.now, ours.then[-1])], np.float32)
    np.testing.assert_array_equal(sigmas, ARRAYS[f"{name}/{num_steps}/{shift}/sigmas"])


@pytest.mark.parametrize(("name", "num_steps", "shift"), FLOW)
def test_every_point_of_the_loop_is_the_references(name: str, num_steps: str, shift: str) -> None:
    sampler = flow_sampler(name, int(num_steps), float(shift))
    assert distance(points(sampler), ARRAYS[f"{name}/{num_steps}/{shift}/points"]) < LOOP


@pytest.mark.parametrize("loop", VARIANCE_PRESERVING)
def test_every_time_and_point_of_a_variance_preserving_loop_is_the_references(loop: str) -> None:
    _, name, num_steps, text = loop.split("/", 3)
    config = json.loads(text)
    betas = Betas(
        kind=KINDS[config["beta_schedule"]],
        start=config["beta_start"],
        end=config["beta_end"],
        zero_terminal_snr=config.get("rescale_betas_zero_snr", False),
    )
    stepping = Stepping(
        spacing=config.get("timestep_spacing", "leading" if name in ("ddim", "ddpm", "pndm") else "linspace"),
        offset=config.get("steps_offset", 0),
        ends_in_data=config.get("set_alpha_to_one", True),
    )
    process = VariancePreserving(betas, PUBLISHED[config.get("prediction_type", "epsilon")])
    sampler = variance_preserving_sampler(name, process, int(num_steps), stepping)
    np.testing.assert_array_equal(sampler.times, ARRAYS[f"{loop}/times"])
    assert distance(points(sampler), ARRAYS[f"{loop}/points"]) < LOOP
