"""Prompts and latents to pixels, as diffusers' Wan pipeline does it, through everything that mdctl loads and runs."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from safetensors.numpy import save_file

from mdctl.diffusion.guidance import Guidance
from mdctl.diffusion.samplers.registry import FLOW_SAMPLERS
from mdctl.inference.sample import Start, sample
from mdctl.models.codec import load_codec
from mdctl.models.family import find_family
from mdctl.parallel.execution import Execution
from mdctl.spec.catalogue import find_model
from mdctl.spec.sampling import Sampling
from tests.parity.arrays import distance, reference
from tests.parity.redraw import redraw
from tests.parity.tolerances import LOOP

ARRAYS = reference("sampling_loop")
REQUEST = json.loads(str(ARRAYS["request"]))
MODEL = find_model("wan2.1-t2v-tiny")
PARTS = {"text_encoder": 1, "vae": 2, "transformer": 3}
"""The seed with which each part is drawn."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the reference's models in the Hugging Face layout."""
    folder = tmp_path_factory.mktemp("repository")
    for name in (*PARTS, "tokenizer", "scheduler"):
        (folder / name).mkdir()
    for name in ARRAYS:
        if name.endswith(".json"):
            (folder / name).write_text(str(ARRAYS[name]))
    vae = json.loads(str(ARRAYS["vae/config.json"]))
    (folder / "vae" / "config.json").write_text(json.dumps({**vae, "_class_name": "AutoencoderKLWan"}))
    (folder / "scheduler" / "scheduler_config.json").write_text(str(ARRAYS["unipc/scheduler"]))
    for part, seed in PARTS.items():
        stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        save_file(redraw(json.loads(str(ARRAYS[f"{part}/shapes"])), seed=seed), folder / part / f"{stem}.safetensors")
    return folder


Run = Callable[..., jax.Array]


@pytest.fixture(scope="module")
def run(repository: Path) -> Run:
    """Return the request as a function of what may be asked otherwise."""
    family = find_family(MODEL)
    denoiser = family.denoiser(family.configure(MODEL, repository), Execution.plain())
    params, encode = denoiser.load(repository, None), denoiser.load_text(repository, "float32")
    null = jax.tree.map(lambda leaf: leaf[0], encode([REQUEST["negative_prompt"]]))
    scan = jax.jit(partial(sample, denoiser.denoise), static_argnames="guidance")

    def latents(
        name: str = "unipc",
        prompts: Sequence[str] = tuple(REQUEST["prompt"]),
        guidance: float = REQUEST["guidance_scale"],
    ) -> jax.Array:
        sampler, _ = family.sampler(MODEL, Sampling(sampler=name, steps=REQUEST["num_inference_steps"]), repository)
        start = Start(jnp.asarray(ARRAYS["noise"]))
        made: jax.Array = scan(params, sampler, start, encode(prompts), null, guidance=Guidance(guidance))
        return made

    return latents


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_ten_steps_with_guidance(run: Run, name: str) -> None:
    assert distance(run(name), ARRAYS[f"{name}/latents"]) < LOOP


def test_prompts_to_pixels(run: Run, repository: Path) -> None:
    pixels = load_codec(repository).decode(run())
    assert distance((pixels + 1) / 2, ARRAYS["pixels"]) < LOOP


def test_prompts_and_guidance_show_in_the_latents(run: Run) -> None:
    theirs = ARRAYS["unipc/latents"]
    assert distance(run(prompts=REQUEST["prompt"][::-1]), theirs) > 10 * LOOP
    assert distance(run(guidance=REQUEST["guidance_scale"] * 1.01), theirs) > 10 * LOOP
