"""Training with bfloat16 activations over float32 weights, beside the same in float32."""

import jax
import numpy as np
import pytest

from mdctl.parallel.mesh import make_mesh
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import LatentShape
from mdctl.training.program import make_training_program
from tests.training.drawing import drawn

STEPS = 50
BATCH = 4
TRACKS = 2e-2
"""How far a step's loss may be from float32's, of the latter."""

MODELS = {"wan2.1-t2v-tiny": LatentShape(2, 4, 4, 16), "sd-tiny": LatentShape(1, 8, 8, 4)}


def losses(
    model: str, dtype: str, *, steps: int = STEPS, device: jax.Device | None = None, kernel: str = "dot_product"
) -> np.ndarray:
    """Return the losses of so many steps on one device, always on the same batch, of other noise each."""
    device = device or jax.devices()[0]
    spec = JobSpec.model_validate(
        {
            "task": "train",
            "slice": {"cpu": "cpu-1x1", "gpu": "h100-1"}[device.platform],
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
    batch, dropped, found = drawn(opened.batch), drawn(opened.null_conditioning), []
    for _ in range(steps):
        state, metrics = step(state, batch, dropped, frozen)
        found.append(float(metrics["loss"]))
    return np.array(found)


@pytest.mark.parametrize("model", MODELS)
def test_bfloat16_tracks_float32(model: str) -> None:
    whole, half = losses(model, "float32"), losses(model, "bfloat16")
    assert whole[-10:].mean() < 0.9 * whole[:10].mean()
    apart = np.abs(half - whole) / whole
    assert 1e-6 < apart.max() < TRACKS
