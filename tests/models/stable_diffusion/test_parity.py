"""Prompts and latents to pixels, as diffusers' pipelines do it, through everything that mdctl loads and runs."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.data.framing import Framing, Offset, neutral
from mdctl.diffusion.guidance import Guidance
from mdctl.inference.sample import Kept, Start, sample
from mdctl.models.codec import load_codec
from mdctl.models.family import find_family
from mdctl.parallel.execution import Execution
from mdctl.spec.buckets import Size
from mdctl.spec.catalogue import find_model
from mdctl.spec.sampling import Sampling
from tests.models.stable_diffusion.repositories import ARRAYS, REQUEST, SCALE, write_repository, write_scheduler
from tests.parity.arrays import distance
from tests.parity.tolerances import LOOP

MODEL = find_model("sd-tiny")
FAMILY = find_family(MODEL)
PROMPTS = REQUEST["prompt"]
NOISE = jnp.asarray(ARRAYS["noise"])[:, None]
FRAMED = neutral(Size(SCALE * NOISE.shape[2], SCALE * NOISE.shape[3]))
SCHEDULERS = ("pndm", "ddim", "euler", "lms", "dpm++2m", "dpm++2m-karras", "unipc")
NEGATIVE = REQUEST["negative_prompt"]

Run = Callable[..., jax.Array]


def open_repository(repository: Path) -> Run:
    """Return the reference's request as a function of what may be asked otherwise."""
    cfg = FAMILY.configure(MODEL, repository)
    denoiser = FAMILY.denoiser(cfg, Execution.plain())
    params, encode = denoiser.load(repository, None), denoiser.load_text(repository, "float32")
    scan = jax.jit(partial(sample, denoiser.denoise), static_argnames="guidance")

    def run(
        guidance: Guidance,
        negative: str = "",
        prompts: Sequence[str] = PROMPTS,
        start: Start = Start(NOISE),  # noqa: B008 - a tuple of arrays, never changed
        framed: Framing = FRAMED,
        **sampling: Any,
    ) -> jax.Array:
        sampler, _ = FAMILY.sampler(MODEL, Sampling(steps=REQUEST["steps"], **sampling), repository)
        told = {
            name: np.broadcast_to(value, (len(prompts), *value.shape))
            for name, value in denoiser.framing(framed).items()
        }
        null = jax.tree.map(lambda leaf: leaf[0], {**encode([negative]), **told})
        made: jax.Array = scan(params, sampler, start, {**encode(prompts), **told}, null, guidance=guidance)
        return made

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("sd1"), "sd1", "pndm")


@pytest.fixture(scope="module")
def sd1(folder: Path) -> Run:
    return open_repository(folder)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_stable_diffusion_1_by_the_repositorys_scheduler(folder: Path, sd1: Run, scheduler: str) -> None:
    write_scheduler(folder, "sd1", scheduler)
    assert distance(sd1(Guidance(7.5), NEGATIVE)[:, 0], ARRAYS[f"sd1/{scheduler}"]) < LOOP


def test_a_sampler_by_name_takes_the_steps_of_the_repositorys_scheduler(folder: Path, sd1: Run) -> None:
    write_scheduler(folder, "sd1", "pndm")
    made = sd1(Guidance(7.5), NEGATIVE, sampler="ddim")[:, 0]
    assert distance(made, ARRAYS["sd1/ddim"]) < LOOP
    assert distance(sd1(Guidance(7.5), NEGATIVE, sampler="ddim", spacing="trailing")[:, 0], made) > 10 * LOOP


def test_prompts_to_pixels(folder: Path, sd1: Run) -> None:
    write_scheduler(folder, "sd1", "pndm")
    pixels = load_codec(folder).decode(sd1(Guidance(7.5), NEGATIVE))
    assert distance((pixels[:, 0] + 1) / 2, ARRAYS["sd1/pixels"]) < LOOP


def test_prompts_negative_prompts_and_guidance_show(folder: Path, sd1: Run) -> None:
    write_scheduler(folder, "sd1", "pndm")
    theirs = ARRAYS["sd1/pndm"]
    assert distance(sd1(Guidance(7.5), NEGATIVE, PROMPTS[::-1])[:, 0], theirs) > 10 * LOOP
    assert distance(sd1(Guidance(7.5), "")[:, 0], theirs) > 10 * LOOP
    assert distance(sd1(Guidance(7.6), NEGATIVE)[:, 0], theirs) > 10 * LOOP


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++2m", "unipc"])
def test_image_to_image(folder: Path, sd1: Run, scheduler: str) -> None:
    write_scheduler(folder, "sd1", scheduler)
    start = Start(jnp.asarray(ARRAYS["picture/noise"])[:, None], jnp.asarray(ARRAYS["picture"])[:, None])
    made = sd1(Guidance(3.0), start=start, image="picture.png", strength=0.6)
    assert distance(made[:, 0], ARRAYS[f"picture/{scheduler}"]) < LOOP


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++2m"])
def test_inpainting(folder: Path, sd1: Run, scheduler: str) -> None:
    write_scheduler(folder, "sd1", scheduler)
    mask = jnp.asarray(ARRAYS["mask/pixels"])[None, None, ::SCALE, ::SCALE, None]
    kept = Kept(jnp.asarray(ARRAYS["picture"])[:, None], jnp.broadcast_to(mask, (2, *mask.shape[1:])))
    made = sd1(Guidance(3.0), start=Start(NOISE, kept=kept))
    assert distance(made[:, 0], ARRAYS[f"mask/{scheduler}"]) < LOOP


def test_stable_diffusion_2_from_noise_alone_with_rescaled_guidance(tmp_path: Path) -> None:
    run = open_repository(write_repository(tmp_path, "sd2", "ddim"))
    assert distance(run(Guidance(7.5, 0.7))[:, 0], ARRAYS["sd2/ddim"]) < LOOP
    assert distance(run(Guidance(7.5, 0.65))[:, 0], ARRAYS["sd2/ddim"]) > 10 * LOOP


def test_stable_diffusion_xl_has_zeros_where_there_is_no_negative_prompt(tmp_path: Path) -> None:
    run = open_repository(write_repository(tmp_path, "sdxl", "euler"))
    assert distance(run(Guidance(5.0))[:, 0], ARRAYS["sdxl/euler"]) < LOOP
    assert distance(run(Guidance(5.0), "a")[:, 0], ARRAYS["sdxl/euler"]) > 10 * LOOP


def test_stable_diffusion_xl_is_told_sizes_and_crops(tmp_path: Path) -> None:
    run = open_repository(write_repository(tmp_path, "sdxl", "ddim", zeros=False))
    framed = Framing(original=Size(20, 30), crop=Offset(3, 5), target=Size(32, 24))
    assert distance(run(Guidance(5.0), framed=framed)[:, 0], ARRAYS["sdxl/ddim"]) < LOOP
    assert (
        distance(run(Guidance(5.0), framed=framed._replace(crop=Offset(5, 3)))[:, 0], ARRAYS["sdxl/ddim"]) > 10 * LOOP
    )
