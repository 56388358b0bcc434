"""A ControlNet that is trained beside a denoiser, and one that is followed by what was trained otherwise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.models.family import Denoiser
from mdctl.networks.controlled import CONTROLS, DENOISER, ControlledDenoiser, picture_name
from mdctl.networks.opening import open_network
from mdctl.parallel.execution import Execution
from mdctl.parallel.mesh import make_mesh
from mdctl.spec.catalogue import find_model
from mdctl.spec.errors import WeightsError
from mdctl.spec.job import JobSpec
from mdctl.spec.sampling import Control
from mdctl.spec.shapes import LatentShape
from mdctl.spec.training import Training
from mdctl.training.program import TrainingProgram, make_training_program
from tests.models.stable_diffusion.repositories import REQUEST, write_repository
from tests.networks.controlnets import PICTURES, write_controlnet

MODEL = find_model("sd-tiny")
LATENTS = LatentShape(1, 8, 8, 4)
NAME = picture_name(0)
NUM_STEPS = 8
QUICKLY = {"xla_backend_optimization_level": "0"}  # a compiler that does less makes the same numbers


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("sd1"), "sd1", "ddim")


def opened(repository: Path, training: dict[str, Any] | None = None, *controls: Control) -> Denoiser:
    wanted = None if training is None else Training.model_validate(training)
    return open_network(MODEL, repository, Execution.plain(), wanted, None, controls)


def program(repository: Path) -> TrainingProgram:
    spec = JobSpec.model_validate(
        {
            "task": "train",
            "slice": "cpu-1x1",
            "model": {"name": "sd-tiny", "weights": str(repository), "activationsDtype": "float32"},
            "video": {"height": 32, "width": 32, "frames": 1},
            "batch": {"globalSize": 4},
            "attention": {"kernel": "dot_product"},
            "training": {"controlNet": {}, "optimizer": {"learningRate": 1e-2}},
        }
    )
    return make_training_program(spec, make_mesh(spec.layout, jax.devices()[:1]), LATENTS, repository)


def batch_of(compiled: TrainingProgram) -> Any:
    rng = np.random.default_rng(0)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.dtype == jnp.uint32:
            return np.arange(leaf.shape[0], dtype=np.uint32)
        drawn: np.ndarray = rng.normal(size=leaf.shape).astype(np.float32)
        return drawn

    return jax.tree.map(draw, (compiled.batch, compiled.null_conditioning))


def test_training_lowers_the_loss_and_moves_the_control_net_alone(repository: Path, tmp_path: Path) -> None:
    compiled = program(repository)
    assert NAME in compiled.batch["conditioning"]
    assert NAME not in compiled.null_conditioning, "a caption that is dropped takes no picture with it"
    trained, frozen = compiled.split(compiled.denoiser.begin(repository, compiled.shardings, None))
    assert (trained.keys(), frozen.keys()) == ({CONTROLS}, {DENOISER})
    before = jax.tree.map(np.asarray, trained)
    step = compiled.lower().compile(compiler_options=QUICKLY)
    state, (batch, null) = compiled.begin(trained), batch_of(compiled)
    state, first = step(state, batch, null, frozen)
    for _ in range(NUM_STEPS):
        state, _ = step(state, batch, null, frozen)
    after = jax.tree.map(np.asarray, state.params)
    _, again = step(replace(state, step=jnp.zeros_like(state.step)), batch, null, frozen)
    assert again["loss"] < 0.9 * first["loss"]
    moved = jax.tree.leaves(jax.tree.map(lambda old, new: bool((old != new).any()), before, after))
    assert all(moved)

    assert isinstance(compiled.denoiser, ControlledDenoiser)
    compiled.denoiser.save({**jax.tree.map(jnp.asarray, after), **frozen}, tmp_path)
    followed = opened(repository, None, Control(weights=str(tmp_path / "controlnet"), image="any.png"))
    loaded = followed.begin(repository, None, None)
    jax.tree.map(np.testing.assert_array_equal, loaded[CONTROLS], after[CONTROLS])
    jax.tree.map(np.testing.assert_array_equal, loaded[DENOISER], frozen[DENOISER])


def predicted(denoiser: Denoiser, params: Any, conditioning: Any) -> jax.Array:
    x = jax.random.normal(jax.random.key(0), (2, *LATENTS))
    given = (params, x, jnp.array([20.0, 700.0]), conditioning)
    prediction: jax.Array = jax.jit(denoiser.denoise).lower(*given).compile(compiler_options=QUICKLY)(*given)
    return prediction


def test_a_new_control_net_changes_nothing_and_one_of_a_run_with_texts_reads_them(
    repository: Path, tmp_path: Path
) -> None:
    control = Control(weights=str(write_controlnet(tmp_path / "controlnet", "sd1", 0)), image="any.png")
    plain, own = opened(repository), opened(repository, {"controlNet": {}})
    followed, along = opened(repository, None, control), opened(repository, {"textEncoder": {}}, control)
    said = plain.load_text(repository, "float32")(REQUEST["prompt"])
    tokens = along.load_text(repository, "float32")(REQUEST["prompt"])
    told = {NAME: jnp.stack([PICTURES[0], PICTURES[1]])}
    as_it_is = predicted(plain, plain.begin(repository, None, None), said)
    assert (predicted(own, own.begin(repository, None, None), {**said, **told}) == as_it_is).all()
    expected = predicted(followed, followed.begin(repository, None, None), {**said, **told})
    assert float(jnp.abs(expected - as_it_is).max()) > 0.1
    found = predicted(along, along.begin(repository, None, None), {**tokens, **told})
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_control_net_of_another_model_is_refused_with_what_differs(repository: Path, tmp_path: Path) -> None:
    folder = write_controlnet(tmp_path / "controlnet", "sdxl", 0)
    with pytest.raises(WeightsError, match="another model: cross_attention_dim 40, and not 24; pooled_dim 10"):
        opened(repository, None, Control(weights=str(folder), image="any.png"))


def test_a_control_net_that_is_not_there_is_named_by_its_field(repository: Path) -> None:
    with pytest.raises(WeightsError, match=r"sampling.control.0.weights './none': there is no such folder"):
        opened(repository, None, Control(weights="./none", image="any.png"))
