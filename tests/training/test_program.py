from typing import Any

import jax
import numpy as np
import pytest

from mdctl.parallel.mesh import make_mesh
from mdctl.spec.errors import WeightsError
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import LatentShape
from mdctl.training.program import TrainingProgram, make_training_program
from tests.parity.tolerances import GRADIENT
from tests.training.drawing import drawn

SHAPE = LatentShape(3, 6, 6, 16)  # 27 tokens
BATCH = 4


def program(slice_name: str, shape: LatentShape = SHAPE, **axes: int) -> TrainingProgram:
    spec = JobSpec.model_validate(
        {
            "task": "train",
            "slice": slice_name,
            "model": {"name": "wan2.1-t2v-tiny", "weights": "nowhere", "activationsDtype": "float32"},
            "mesh": {"ici": {"fsdp": 1, **axes}},
            "batch": {"globalSize": BATCH},
            "attention": {"kernel": "flash", "flashMinSeqLength": 0},
            "training": {"ema": {"decay": 0.99}},
        }
    )
    return make_training_program(spec, make_mesh(spec.layout, jax.devices()[: spec.layout.num_devices]), shape)


def begun(compiled: TrainingProgram) -> Any:
    """Return the state before the first step."""
    trained, _ = compiled.split(compiled.denoiser.begin(None, compiled.shardings, jax.random.key(0)))
    return compiled.begin(trained)


def after_one_step(compiled: TrainingProgram) -> tuple[Any, Any]:
    state = begun(compiled)
    state, metrics = compiled.step(state, drawn(compiled.batch), drawn(compiled.null_conditioning))
    return state, metrics


@pytest.fixture(scope="module")
def alone() -> TrainingProgram:
    return program("cpu-1x1")


@pytest.fixture(scope="module")
def sharded() -> TrainingProgram:
    return program("cpu-1x8", fsdp=2, context=2, tensor=2)


def test_a_step_over_a_mesh_is_the_step_of_one_device(alone: TrainingProgram, sharded: TrainingProgram) -> None:
    (state, metrics), (expected, measures) = after_one_step(sharded), after_one_step(alone)
    assert int(state.step) == 1
    assert bool(metrics["finite"])
    for name in ("loss", "grad_norm", "learning_rate"):
        np.testing.assert_allclose(metrics[name], measures[name], rtol=GRADIENT)
    # After one step Adam's first moment is a multiple of the gradient; its parameters are all but the signs of it.
    moments, others = (jax.tree.leaves(one.opt_state) for one in (state, expected))
    for a, b in zip(moments, others, strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() <= GRADIENT * max(np.abs(b).max(), 1e-12)


def test_latents_that_the_network_does_not_take_are_refused_with_both_numbers() -> None:
    with pytest.raises(WeightsError, match=r"transformer takes latents of 16 channels .* named has 12"):
        program("cpu-1x1", SHAPE._replace(channels=12))


def test_moments_and_average_lie_as_the_parameters(sharded: TrainingProgram) -> None:
    shardings = jax.tree.leaves(sharded.shardings)
    assert not all(sharding.is_fully_replicated for sharding in shardings)
    assert [leaf.sharding for leaf in jax.tree.leaves(sharded.state.ema)] == shardings
    cut = [leaf.sharding for leaf in jax.tree.leaves(sharded.state.opt_state) if leaf.ndim]
    assert cut == shardings * 2


def test_a_step_keeps_its_arguments_shapes_and_layout(sharded: TrainingProgram) -> None:
    state = begun(sharded)
    kept = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.sharding), sharded.state)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.sharding), state) == kept


def test_a_step_takes_over_the_buffers_of_its_state(sharded: TrainingProgram) -> None:
    assert all(info.donated for info in jax.tree.leaves(sharded.lower().args_info[0][0]))
