"""The reference's UNet and text encoder of Stable Diffusion 1, which LoRA files are for, as a repository."""

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
from safetensors.numpy import save_file

from mdctl.models.family import Denoiser, TextEncoders, find_family
from mdctl.parallel.execution import Execution
from mdctl.spec.catalogue import find_model
from tests.lora.pipelines import ARRAYS
from tests.parity.redraw import redraw
from tests.runtime.picture_models import SCHEDULER

MODEL = find_model("sd-tiny")
FAMILY = find_family(MODEL)
PLAIN = Execution.plain()
STEMS = {"unet": "diffusion_pytorch_model", "text_encoder": "model"}


def write_repository(folder: Path) -> Path:
    """Write it, with the parameters that the reference drew, and return it."""
    for part, stem in STEMS.items():
        (folder / part).mkdir()
        (folder / part / "config.json").write_text(str(ARRAYS[f"sd1/{part}/config"]))
        save_file(redraw(json.loads(str(ARRAYS[f"sd1/{part}/shapes"])), seed=1), folder / part / f"{stem}.safetensors")
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULER))
    return folder


def open_denoiser(repository: Path, execution: Execution = PLAIN) -> Denoiser:
    """Return the UNet."""
    return FAMILY.denoiser(FAMILY.configure(MODEL, repository), execution)


def open_text(repository: Path, execution: Execution) -> TextEncoders:
    """Return the encoder, which takes any prompts for the reference's tokens."""
    assert FAMILY.text is not None
    tokens = {"text_encoder": jnp.asarray(ARRAYS["tokens"], jnp.float32)}
    return replace(FAMILY.text(repository, execution), tokenize=lambda prompts: tokens)
