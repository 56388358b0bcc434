"""A LoRA in the place of its denoiser: begun, trained, and published."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.lora.merging import trained
from mdctl.lora.placing import place
from mdctl.lora.reading import read
from mdctl.models.family import Denoiser
from mdctl.networks.adapted import ADAPTER, BASE, AdaptedDenoiser, with_adapter
from mdctl.networks.parts import split
from mdctl.parallel.mesh import make_mesh
from mdctl.spec.errors import SpecError
from mdctl.spec.job import JobSpec
from mdctl.spec.shapes import LatentShape
from mdctl.spec.training import Lora
from mdctl.training.program import make_training_program
from tests.lora.pipelines import ARRAYS, QUICKLY, compiled, inputs
from tests.networks.pipeline import open_denoiser, write_repository
from tests.parity.arrays import distance
from tests.parity.tolerances import LAYER
from tests.training.drawing import drawn

SHAPE = LatentShape(1, 8, 8, 4)

LORA = Lora(rank=4, alpha=2.0)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("sd1"))


@pytest.fixture(scope="module")
def plain(repository: Path) -> Denoiser:
    return open_denoiser(repository)


@pytest.fixture(scope="module")
def adapted(plain: Denoiser) -> AdaptedDenoiser:
    return with_adapter(plain, LORA, seed=7)


def test_it_begins_as_its_base(plain: Denoiser, adapted: AdaptedDenoiser, repository: Path) -> None:
    params = adapted.begin(repository, None, None)
    x, time, (text, _) = inputs("sd1")
    predict = compiled(adapted.denoise, params, x, time, {"text": text})
    assert distance(predict(params, x, time, {"text": text})[:, 0], ARRAYS["sd1/unet"]) < LAYER


def test_it_is_drawn_from_the_seed(plain: Denoiser, adapted: AdaptedDenoiser, repository: Path) -> None:
    drawn = adapted.begin(repository, None, None)[ADAPTER]
    again = with_adapter(plain, LORA, seed=7).begin(repository, None, None)[ADAPTER]
    other = with_adapter(plain, LORA, seed=8).begin(repository, None, None)[ADAPTER]
    jax.tree.map(np.testing.assert_array_equal, drawn, again)
    assert all(not np.array_equal(other[name]["down"], drawn[name]["down"]) for name in drawn)
    assert not any(np.any(factors["up"]) for factors in drawn.values())


def test_targets_that_the_network_does_not_have_are_named(plain: Denoiser) -> None:
    with pytest.raises(SpecError, match="targets to_w: no module of this network is called so"):
        with_adapter(plain, Lora(targets=("to_q", "to_w")), seed=0)


def test_training_lowers_the_loss_and_moves_the_adapter_alone(repository: Path) -> None:
    spec = JobSpec.model_validate(
        {
            "task": "train",
            "slice": "cpu-1x1",
            "model": {"name": "sd-tiny", "weights": str(repository), "activationsDtype": "float32"},
            "video": {"height": 32, "width": 32, "frames": 1},
            "batch": {"globalSize": 2},
            "attention": {"kernel": "dot_product"},
            "remat": "none",
            "training": {
                "lora": {"rank": 2, "targets": ["to_v", "conv2", "conv_out"]},
                "optimizer": {"learningRate": 0.01, "weightDecay": 0},
                "objective": {"captionDropout": 0},
            },
        }
    )
    program = make_training_program(spec, make_mesh(spec.layout, jax.devices()[:1]), SHAPE, repository)
    params, frozen = program.split(program.denoiser.begin(repository, program.shardings, None))
    (start, base), state = jax.tree.map(np.array, (params, frozen)), program.begin(params)
    step = program.lower().compile(compiler_options=QUICKLY)
    batch, dropped, losses = drawn(program.batch), drawn(program.null_conditioning), []
    for _ in range(20):
        state, metrics = step(state, batch, dropped, frozen)
        losses.append(float(metrics["loss"]))
    moved = jax.tree.map(lambda now, then: not np.array_equal(now, then), state.params, start)
    assert all(jax.tree.leaves(moved))
    assert state.params.keys() == {ADAPTER}
    _, metrics = step(replace(state, step=jnp.zeros_like(state.step)), batch, dropped, frozen)
    assert float(metrics["loss"]) < 0.95 * losses[0]  # of the same noise
    jax.tree.map(np.testing.assert_array_equal, frozen, base)


def test_what_is_saved_is_read_back_as_it_was_trained(adapted: AdaptedDenoiser, tmp_path: Path) -> None:
    params = jax.tree.map(jnp.asarray, trained(adapted.drawn))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    adapted.save({ADAPTER: params}, tmp_path / "published")
    assert [path.name for path in (tmp_path / "published").iterdir()] == ["pytorch_lora_weights.safetensors"]
    found = place(read(tmp_path / "published", {"unet": adapted.modules})["unet"], adapted.modules)
    jax.tree.map(np.testing.assert_array_equal, trained(found), params)
    assert {float(np.max(factors.scale)) for factors in found.values()} == {0.5}


def test_a_checkpoint_holds_the_adapter_alone(adapted: AdaptedDenoiser) -> None:
    kept, left = split(adapted.abstract, adapted.frozen)
    assert (set(kept), set(left)) == ({ADAPTER}, {BASE})
    assert adapted.parts["unet"].at == (BASE,)
