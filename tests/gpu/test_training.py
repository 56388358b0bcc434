"""Training on a GPU: cuDNN's attention in bfloat16 beside scores in memory, and float32 beside this machine's CPU."""

import jax
import numpy as np
import pytest

from tests.training.test_precision import MODELS, TRACKS, losses

pytestmark = pytest.mark.gpu

STEPS = 20
EXACT = 1e-4
"""Relative difference of a loss in float32 on a GPU and on a CPU, after so many steps of training apart."""


@pytest.mark.parametrize("model", MODELS)
def test_cudnn_in_bfloat16_tracks_scores_in_float32(model: str) -> None:
    gpu = jax.devices("gpu")[0]
    exact = losses(model, "float32", steps=STEPS, device=gpu)
    half = losses(model, "bfloat16", steps=STEPS, device=gpu, kernel="cudnn")
    assert (np.abs(half - exact) / exact).max() < TRACKS


@pytest.mark.parametrize("model", MODELS)
def test_float32_on_a_gpu_is_float32_on_a_cpu(model: str) -> None:
    gpu = losses(model, "float32", steps=STEPS, device=jax.devices("gpu")[0], kernel="flash")
    cpu = losses(model, "float32", steps=STEPS, device=jax.devices("cpu")[0])
    assert gpu == pytest.approx(cpu, rel=EXACT)
