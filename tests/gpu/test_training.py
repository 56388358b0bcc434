"""Training on a GPU: cuDNN's attention in bfloat16 beside scores in memory, and float32 beside this machine's CPU."""

from typing import Any

import jax
import numpy as np
import pytest

from mdctl.parallel.mesh import make_mesh
from mdctl.spec.job import JobSpec
from mdctl.training.program import make_training_program
from tests.training.drawing import drawn
from tests.training.test_precision import BATCH, MODELS, TRACKS

pytestmark = pytest.mark.gpu

STEPS = 20
EXACT = 1e-4
"""Relative difference of a loss in float32 on a GPU and on a CPU, after so many steps of training apart."""


def losses(model: str, device: jax.Device, slice_: str, kernel: str, dtype: str) -> np.ndarray:
    spec = JobSpec.model_validate(
        {
            "task": "train",
            "slice": slice_,
            "model": {"name": model, "initialisation": "random", "weights": "nowhere", "activationsDtype": dtype},
            "video": {"height": 64, "width": 64, "frames": 1},
            "batch": {"globalSize": BATCH},
            "attention": {"kernel": kernel, "flashMinSeqLength": 1},
            "remat": "none",
            "training": {"optimizer": {"learningRate": 1e-3}, "schedule": {"warmupSteps": 0}},
        }
    )
    opened = make_training_program(spec, make_mesh(spec.layout, [device]), MODELS[model])
    trained, frozen = opened.split(opened.denoiser.begin(None, opened.shardings, jax.random.key(0)))
    state, step = opened.begin(trained), opened.lower().compile()
    batch: Any = drawn(opened.batch)
    dropped, found = drawn(opened.null_conditioning), []
    for _ in range(STEPS):
        state, metrics = step(state, batch, dropped, frozen)
        found.append(float(metrics["loss"]))
    return np.array(found)


@pytest.mark.parametrize("model", MODELS)
def test_cudnn_in_bfloat16_tracks_scores_in_float32(model: str) -> None:
    gpu = jax.devices("gpu")[0]
    exact = losses(model, gpu, "h100-1", "dot_product", "float32")
    half = losses(model, gpu, "h100-1", "cudnn", "bfloat16")
    assert (np.abs(half - exact) / exact).max() < TRACKS


@pytest.mark.parametrize("model", MODELS)
def test_float32_on_a_gpu_is_float32_on_a_cpu(model: str) -> None:
    gpu = losses(model, jax.devices("gpu")[0], "h100-1", "flash", "float32")
    cpu = losses(model, jax.devices("cpu")[0], "cpu-1", "dot_product", "float32")
    assert gpu == pytest.approx(cpu, rel=EXACT)
