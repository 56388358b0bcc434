"""LoRA files in every format against diffusers and PEFT, on networks whose every parameter is drawn anew; and mutants.

What mdctl saves is held too: the reference reads the committed files, and these tests that they are what is saved.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open

from mdctl.lora import settings
from mdctl.lora.merging import adapted, merged, trained, with_trained
from mdctl.lora.placing import Factors, Placed, place, take_back
from mdctl.lora.reading import read
from mdctl.lora.saving import save, save_peft
from tests.lora.pipelines import ARRAYS, KINDS, all_modules, compiled, denoise, inputs, outputs, part
from tests.parity.arrays import DATA, distance
from tests.parity.tolerances import GRADIENT, LAYER

COMMITTED = Path(__file__).parents[1] / "parity" / "data"

# case -> the pipeline, and its files with their scales
CASES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "kohya": ("sd1", {"kohya": 1.0}),
    "diffusers": ("sd1", {"diffusers": 1.0}),
    "old": ("sd1", {"old": 1.0}),
    "peft": ("sd1", {"peft": 1.0}),
    "two": ("sd1", {"kohya": 0.7, "diffusers": -0.4}),
    "original": ("sdxl", {"original": 1.0}),
    "alphas": ("sdxl", {"alphas": 1.0}),
    "video": ("wan", {"video": 1.0}),
}
PARTS = [
    (case, name)
    for case, (kind, _) in CASES.items()
    for name in KINDS[kind]
    if (case, name) != ("peft", "text_encoder")
]


def placed(kind: str, file: str, name: str) -> Placed:
    return place(read(DATA / f"lora_{file}", all_modules(kind))[name], part(kind, name).modules)


def distances(case: str, name: str, spoil: Callable[[Placed], Placed] = lambda placed: placed) -> list[float]:
    """Merge the adapters of a case, each spoilt if asked to, and return how far each output is."""
    kind, scales = CASES[case]
    adapters = [(spoil(placed(kind, file, name)), scale) for file, scale in scales.items()]
    found = outputs(kind, name, merged(part(kind, name).params, adapters))
    return [distance(output, ARRAYS[f"{case}/{key}"]) for key, output in found.items()]


@pytest.mark.parametrize(("case", "name"), PARTS)
def test_merged(case: str, name: str) -> None:
    assert max(distances(case, name)) < LAYER


@pytest.mark.parametrize(("case", "name"), PARTS)
def test_without_the_adapter_it_is_far(case: str, name: str) -> None:
    assert min(distances(case, name, lambda _: {})) > 100 * LAYER


def test_kept_apart() -> None:
    adapters = [placed("sd1", file, "unet") for file in ("kohya", "diffusers")]
    params = {"base": part("sd1", "unet").params, "adapters": adapters, "scales": np.zeros(2, np.float32)}
    predict = compiled(adapted(denoise("sd1")), params, *inputs("sd1"))
    for case, scales in {"two": [0.7, -0.4], "kohya": [1.0, 0.0], "diffusers": [0.0, 1.0], "sd1": [0.0, 0.0]}.items():
        prediction = predict({**params, "scales": np.array(scales, np.float32)}, *inputs("sd1"))[:, 0]
        assert distance(prediction, ARRAYS[f"{case}/unet"]) < LAYER


@pytest.mark.parametrize("case", ["diffusers", "original"])
def test_gradients_of_the_factors(case: str) -> None:
    kind, factors = CASES[case][0], placed(CASES[case][0], case, "unet")
    target = jnp.asarray(ARRAYS["inputs/target"])[:, None]

    def loss(weights: Any, base: Any) -> jax.Array:
        params = {"base": base, "adapters": [with_trained(factors, weights)], "scales": jnp.ones(1)}
        return jnp.mean(jnp.square(adapted(denoise(kind))(params, *inputs(kind)) - target))

    args = trained(factors), part(kind, "unet").params
    slopes = with_trained(factors, compiled(jax.grad(loss), *args)(*args))
    ours = take_back(slopes, part(kind, "unet").modules)
    theirs = {name: slope for name, slope in ARRAYS.items() if name.startswith(f"{case}/gradient/")}
    assert len(theirs) == 2 * len(ours) > 0
    far = {}
    for name, pair in ours.items():
        for side, slope in (("down", pair.down), ("up", pair.up)):
            reference = theirs[f"{case}/gradient/{name}/{side}"]
            far[name, side] = distance(slope.reshape(reference.shape), reference)
    assert {name: share for name, share in far.items() if share >= GRADIENT} == {}


def test_what_is_saved_is_what_the_libraries_read(tmp_path: Path) -> None:
    sdxl, sd1 = all_modules("sdxl"), all_modules("sd1")
    save(tmp_path / "lora_saved", {name: placed("sdxl", "alphas", name) for name in sdxl}, sdxl)
    save_peft(tmp_path / "lora_saved_peft", placed("sd1", "peft", "unet"), sd1["unet"])
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    assert made == {path.relative_to(COMMITTED) for path in COMMITTED.glob("lora_saved*/*")}
    for path in made:
        assert content(tmp_path / path) == content(COMMITTED / path), f"commit {path} as it is saved now"


def content(path: Path) -> Any:
    """Return all that a file says; its header has no order."""
    if path.suffix == ".json":
        return path.read_text()
    with safe_open(path, framework="np") as file:
        return file.metadata(), {key: file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(("saved", "case"), [("saved", "alphas"), ("saved peft", "peft")])
def test_what_the_libraries_read_is_what_was_meant(saved: str, case: str) -> None:
    names = [name.removeprefix(f"{case}/") for name in ARRAYS if name.startswith(f"{case}/") and "gradient" not in name]
    assert names
    for name in names:
        assert distance(ARRAYS[f"{saved}/{name}"], ARRAYS[f"{case}/{name}"]) < LAYER


# Mutants: each changes one thing that might pass unnoticed, and names the case that must tell.


def without_alpha(factors: Factors) -> Factors:
    return factors._replace(scale=np.asarray(factors.scale != 0, np.float32))


def by_the_largest_rank(factors: Factors) -> Factors:
    """Scale by alpha over the rank that the layers of a stack are padded to."""
    ranks = np.any(factors.up, axis=-1).sum(axis=-1)
    return factors._replace(scale=factors.scale * np.float32(ranks / factors.up.shape[-2]))


def transposed(factors: Factors) -> Factors:
    """Take up for down and down for up, where the module is square."""
    square = factors.down.ndim == factors.up.ndim and factors.down.shape[-2] == factors.up.shape[-1]
    return Factors(factors.up.swapaxes(-1, -2), factors.down.swapaxes(-1, -2), factors.scale) if square else factors


def mirrored(factors: Factors) -> Factors:
    """Mirror the window of convolutions."""
    return factors._replace(down=factors.down[::-1]) if factors.down.ndim == 4 and not factors.scale.ndim else factors


def layers_reversed(factors: Factors) -> Factors:
    return Factors(*(values[::-1] for values in factors)) if factors.scale.ndim else factors


def squared(factors: Factors) -> Factors:
    return factors._replace(scale=np.square(factors.scale))


MUTANTS: Mapping[str, tuple[Callable[[Factors], Factors], str, str]] = {
    "alpha ignored": (without_alpha, "kohya", "unet"),
    "alpha ignored in the settings": (without_alpha, "diffusers", "text_encoder"),
    "alpha over the rank of the stack": (by_the_largest_rank, "alphas", "unet"),
    "alpha over the rank squared": (squared, "peft", "unet"),
    "down and up swapped": (transposed, "old", "unet"),
    "windows mirrored": (mirrored, "kohya", "unet"),
    "layers in reverse": (layers_reversed, "original", "unet"),
    "layers of a video transformer in reverse": (layers_reversed, "video", "transformer"),
    "layers of an encoder in reverse": (layers_reversed, "kohya", "text_encoder"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found_out(name: str) -> None:
    change, case, where = MUTANTS[name]
    spoilt = distances(case, where, lambda placed: {name: change(factors) for name, factors in placed.items()})
    assert max(spoilt) > 10 * LAYER


@pytest.mark.parametrize(
    "module", ["conv_out", "mid_block.attentions.0.proj_in", "up_blocks.1.resnets.1.time_emb_proj"]
)
def test_a_module_left_out_is_found_out(module: str) -> None:
    name = f"{module}.kernel"
    assert name in placed("sdxl", "original", "unet")
    left = distances("original", "unet", lambda placed: {key: value for key, value in placed.items() if key != name})
    assert max(left) > 10 * LAYER


def test_a_squared_scale_is_found_out() -> None:
    adapters = [(placed("sd1", file, "unet"), scale**2) for file, scale in CASES["two"][1].items()]
    found = outputs("sd1", "unet", merged(part("sd1", "unet").params, adapters))
    assert distance(found["unet"], ARRAYS["two/unet"]) > 10 * LAYER


def test_the_root_of_the_rank_is_what_rslora_divides_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "sqrt", lambda rank: 1.0)
    assert max(distances("peft", "unet")) > 10 * LAYER
