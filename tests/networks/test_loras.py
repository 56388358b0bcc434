"""The LoRAs of a spec over a network and its text encoders, against what diffusers made of the same files."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from mdctl.models.family import Denoiser
from mdctl.networks.adapted import BASE, with_adapter
from mdctl.networks.loras import Loras, open_loras
from mdctl.networks.texted import DENOISER, TEXT, with_text
from mdctl.parallel.execution import Execution
from mdctl.parallel.mesh import make_mesh
from mdctl.parallel.rules import parameter_shardings, replicated
from mdctl.spec.errors import WeightsError
from mdctl.spec.model import ModelSpec
from mdctl.spec.training import Lora
from tests.lora.pipelines import ARRAYS, compiled, inputs
from tests.networks.pipeline import PLAIN, open_denoiser, open_text, write_repository
from tests.parallel.layouts import make_layout
from tests.parity.arrays import DATA, distance
from tests.parity.tolerances import LAYER

WHOLE = SingleDeviceSharding(jax.devices()[0])
FILES = ("kohya", "diffusers")
SCALES = {"two": (0.7, -0.4), "kohya": (1.0, 0.0), "diffusers": (0.0, 1.0), "sd1": (0.0, 0.0)}
X, TIME, (CONDITION, _) = inputs("sd1")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("sd1"))


def spec(*scales: float, merge: bool = True) -> ModelSpec:
    lora = [{"weights": str(DATA / f"lora_{file}"), "scale": scale} for file, scale in zip(FILES, scales, strict=True)]
    return ModelSpec.model_validate({"lora": lora, "loraMerge": merge})


def opened(repository: Path, model: ModelSpec, denoiser: Denoiser | None = None) -> Loras:
    return open_loras(model, denoiser or open_denoiser(repository), open_text, repository)


def test_kept_apart_scales_change_without_compiling_again(repository: Path) -> None:
    denoiser, loras = open_denoiser(repository), opened(repository, spec(1, 1, merge=False))
    params = loras.into(denoiser.load(repository, None), WHOLE)
    predict = compiled(loras.over(denoiser.denoise), params((0.0, 0.0)), X, TIME, {"text": CONDITION})
    for case, scales in SCALES.items():
        prediction = predict(params(scales), X, TIME, {"text": CONDITION})[:, 0]
        assert distance(prediction, ARRAYS[f"{case}/unet"]) < LAYER


@pytest.mark.parametrize("case", ["two", "sd1"])
def test_merged(repository: Path, case: str) -> None:
    denoiser, loras = open_denoiser(repository), opened(repository, spec(*SCALES[case]))
    base = denoiser.load(repository, None)
    params = loras.into(base, WHOLE)(SCALES[case])
    predict = compiled(loras.over(denoiser.denoise), params, X, TIME, {"text": CONDITION})
    assert distance(predict(params, X, TIME, {"text": CONDITION})[:, 0], ARRAYS[f"{case}/unet"]) < LAYER
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: a is b, params, base))) == (case == "sd1")


@pytest.mark.parametrize("merge", [True, False])
def test_text_encoders_change_with_the_scales(repository: Path, merge: bool) -> None:
    loras = opened(repository, spec(*SCALES["two"], merge=merge))
    encode = loras.load_text(open_denoiser(repository), repository, "float32")
    for case in ("two",) if merge else ("two", "kohya", "sd1"):
        text = encode(SCALES[case])(["any", "thing"])["text"]
        assert distance(text, ARRAYS[f"{case}/text_encoder/last"]) < LAYER


def test_they_find_the_denoiser_in_what_is_around_it(repository: Path) -> None:
    denoiser, scales = open_denoiser(repository), SCALES["two"]
    base = denoiser.load(repository, None)
    expected = opened(repository, spec(*scales)).into(base, WHOLE)(scales)

    trained = with_adapter(denoiser, Lora(rank=2), seed=0)
    around = trained.begin(repository, None, None)
    found = opened(repository, spec(*scales), trained).into(around, WHOLE)(scales)
    assert_same(found[BASE], expected)

    text = open_text(repository, PLAIN)
    along = with_text(denoiser, text)
    loras = opened(repository, spec(*scales), along)
    found = loras.into(along.begin(repository, None, None), WHOLE)(scales)
    assert_same(found[DENOISER], expected)
    tokens = text.tokenize(["any", "thing"])
    assert distance(text.encode(found[TEXT], tokens)["text"], ARRAYS["two/text_encoder/last"]) < LAYER
    assert loras.load_text(along, repository, "float32")(scales)(["any"]) is tokens


def test_merged_parameters_keep_dtype_and_layout(repository: Path) -> None:
    denoiser = open_denoiser(repository, Execution(dtype=jnp.bfloat16, param_dtype=jnp.bfloat16))
    mesh = make_mesh(make_layout({"fsdp": 4, "tensor": 2}), jax.devices())
    laid = parameter_shardings(mesh, denoiser.abstract, denoiser.layout)
    base = denoiser.load(repository, laid)
    found = opened(repository, spec(0.7, -0.4), denoiser).into(base, replicated(mesh))((0.7, -0.4))
    assert jax.tree.map(lambda leaf: leaf.sharding, found) == laid
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.bfloat16)}
    apart = opened(repository, spec(0.7, -0.4, merge=False), denoiser).into(base, replicated(mesh))((0.7, -0.4))
    assert {leaf.sharding for leaf in jax.tree.leaves(apart["adapters"])} == {replicated(mesh)}


def test_a_model_without_text_encoders_to_change_names_the_keys(repository: Path) -> None:
    with pytest.raises(WeightsError, match=r"not for this model, of unet\.(.|\n)*unknown: lora_te_"):
        open_loras(spec(1, 1), open_denoiser(repository), None, repository)


def assert_same(ours: Any, theirs: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
