"""Prompts and pictures to follow to latents, as diffusers' pipelines with ControlNets do it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.data.framing import neutral
from mdctl.diffusion.guidance import Guidance
from mdctl.inference.sample import Start, sample
from mdctl.models.family import find_family
from mdctl.networks.controlled import picture_name
from mdctl.networks.opening import open_network
from mdctl.parallel.execution import Execution
from mdctl.spec.buckets import Size
from mdctl.spec.catalogue import find_model
from mdctl.spec.sampling import Control, Sampling
from tests.models.stable_diffusion import repositories
from tests.models.stable_diffusion.repositories import REQUEST, write_repository
from tests.networks.controlnets import ARRAYS, PICTURES, SCALES, write_controlnet
from tests.parity.arrays import distance
from tests.parity.tolerances import LOOP

MODEL = find_model("sd-tiny")
FAMILY = find_family(MODEL)
SCHEDULERS = {"sd1": "ddim", "sdxl": "euler"}
NOISE = jnp.asarray(repositories.ARRAYS["noise"])[:, None]
GUIDANCE = json.loads(str(ARRAYS["guidance"]))

QUICKLY = {"xla_backend_optimization_level": "0"}  # a compiler that does less makes the same numbers

Run = Callable[..., jax.Array]


def open_kind(folder: Path, kind: str) -> Run:
    """Return the reference's request as a function of how much each picture counts, and of the pictures."""
    repository = write_repository(folder / "model", kind, SCHEDULERS[kind])
    weights = [write_controlnet(folder / f"controlnet {number}", kind, number) for number in (0, 1)]
    sampler, _ = FAMILY.sampler(MODEL, Sampling(steps=REQUEST["steps"]), repository)

    @cache
    def compiled(scales: tuple[float, ...]) -> Callable[..., jax.Array]:
        controls = [
            Control(weights=str(folder), image="any.png", scale=scale)
            for folder, scale in zip(weights, scales, strict=False)
        ]
        denoiser = open_network(MODEL, repository, Execution.plain(), None, None, controls)
        params, encode = denoiser.begin(repository, None, None), denoiser.load_text(repository, "float32")
        prompts, negative = encode(REQUEST["prompt"]), encode([REQUEST["negative_prompt"]])

        @jax.jit
        def loop(params: Any, texts: Any, null: Any) -> jax.Array:
            return sample(denoiser.denoise, params, sampler, Start(NOISE), texts, null, Guidance(GUIDANCE[kind]))

        def conditioned(pictures: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
            told = {**denoiser.framing(neutral(Size(32, 32))), **pictures}
            null = {name: array[0] for name, array in negative.items()}
            return {**prompts, **{name: np.stack([each, each]) for name, each in told.items()}}, {**null, **told}

        run = loop.lower(params, *conditioned(named(PICTURES[: len(scales)]))).compile(compiler_options=QUICKLY)
        return lambda pictures: run(params, *conditioned(named(pictures)))[:, 0]

    return lambda scales, pictures=PICTURES: compiled(scales)(pictures[: len(scales)])


def named(pictures: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {picture_name(number): picture for number, picture in enumerate(pictures)}


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return open_kind(tmp_path_factory.mktemp("sd1"), "sd1")


def test_one_picture_is_followed(sd1: Run) -> None:
    assert distance(sd1(SCALES[:1]), ARRAYS["sd1/one"]) < LOOP
    assert distance(sd1(SCALES[:1], PICTURES[::-1]), ARRAYS["sd1/one"]) > 10 * LOOP


def test_what_two_control_nets_say_adds_up(sd1: Run) -> None:
    assert distance(sd1(SCALES), ARRAYS["sd1/two"]) < LOOP
    assert distance(sd1(SCALES, PICTURES[::-1]), ARRAYS["sd1/two"]) > 10 * LOOP


def test_a_scale_of_0_is_no_control_net(sd1: Run) -> None:
    assert distance(sd1((0.0,)), repositories.ARRAYS["sd1/ddim"]) < LOOP


def test_stable_diffusion_xl_follows_two(tmp_path: Path) -> None:
    run = open_kind(tmp_path, "sdxl")
    assert distance(run(SCALES), ARRAYS["sdxl/two"]) < LOOP
