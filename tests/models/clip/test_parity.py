"""The encoders against transformers', every parameter drawn anew, in float32; and mutants, none of which pass."""

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from mdctl.models import weights
from mdctl.models.clip import CLIPTextConfig, CLIPTextEncoder, load, modeling
from mdctl.models.clip.modeling import Layer
from mdctl.models.clip.weights import PREFIX, TABLE
from mdctl.parallel.rules import path_name
from tests.parity.arrays import DATA, distance, reference
from tests.parity.redraw import redraw
from tests.parity.tolerances import GRADIENT, LAYER, MODEL

ARRAYS = reference("clip")
ENCODERS = ("l", "h", "g")
OUTPUTS = ("last", "penultimate", "pooled")
PARTS: Mapping[str, Callable[[Layer], Any]] = {
    "norm": lambda layer: layer.layer_norm1,
    "attention": lambda layer: layer.self_attn,
    "layer": lambda layer: layer,
}


def array(encoder: str, name: str) -> jax.Array:
    return jnp.asarray(ARRAYS[f"{encoder}/{name}"])


def from_tensors(encoder: str, tensors: Mapping[str, np.ndarray]) -> CLIPTextEncoder:
    """Return published tensors as a model of ours, by way of a folder."""
    with TemporaryDirectory() as name:
        save_file(dict(tensors), Path(name) / "model.safetensors")
        (Path(name) / "config.json").write_text(str(ARRAYS[f"{encoder}/config"]))
        return load(Path(name))


@cache
def model(encoder: str) -> CLIPTextEncoder:
    return from_tensors(encoder, redraw(json.loads(str(ARRAYS[f"{encoder}/shapes"])), seed=1))


def leaves(params: Any) -> dict[str, jax.Array]:
    return {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}


def encode(
    encoder: str, spoil: Callable[[str, jax.Array], jax.Array] = lambda name, leaf: leaf
) -> Mapping[str, jax.Array]:
    """Run the model jitted, as jobs do; `spoil` may change its parameters."""
    graphdef, params = nnx.split(model(encoder))
    params = jax.tree.map_with_path(lambda path, leaf: spoil(path_name(path), leaf), params)
    encoding = jax.jit(lambda params, tokens: nnx.merge(graphdef, params)(tokens))(params, array(encoder, "tokens"))
    return encoding._asdict()  # type: ignore[no-any-return] # jit is typed in part


def distances(encoder: str, **options: Any) -> dict[str, float]:
    return {name: distance(ours, array(encoder, name)) for name, ours in encode(encoder, **options).items()}


def distance_of_part(encoder: str, part: str, loudness: str) -> float:
    graphdef, stacked = nnx.split(model(encoder).layers)
    layer: Layer = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[1], stacked))
    return distance(PARTS[part](layer)(array(encoder, f"{loudness}/x")), array(encoder, f"{loudness}/{part}"))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_model(encoder: str) -> None:
    far = distances(encoder)
    assert set(far) == set(OUTPUTS)
    assert max(far.values()) < MODEL


@pytest.mark.parametrize("loudness", ["loud", "quiet"])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_layer(encoder: str, part: str, loudness: str) -> None:
    far = distance_of_part(encoder, part, loudness)
    assert far < LAYER


@pytest.mark.parametrize("encoder", ["l", "g"])
def test_gradients(encoder: str) -> None:
    graphdef, params = nnx.split(model(encoder))

    @jax.jit
    @jax.value_and_grad
    def loss(params: Any) -> jax.Array:
        encoding = nnx.merge(graphdef, params)(array(encoder, "tokens"))._asdict()
        far = [jnp.mean(jnp.square(encoding[name] - array(encoder, f"target/{name}"))) for name in OUTPUTS]
        return jnp.sum(jnp.stack(far))

    value, ours = loss(params)
    prefix = f"{encoder}/gradient/"
    slopes = {name.removeprefix(prefix): ARRAYS[name] for name in ARRAYS if name.startswith(prefix)}
    nothing = {
        name: np.zeros(shape, np.float32)
        for name, shape in json.loads(str(ARRAYS[f"{encoder}/shapes"])).items()
        if name.endswith("k_proj.bias")
    }
    theirs = leaves(nnx.state(from_tensors(encoder, {**slopes, **nothing})))
    far = {name: distance(leaf, theirs[name]) for name, leaf in leaves(ours).items() if theirs[name].any()}
    assert distance(value, array(encoder, "loss")) < MODEL
    assert {name: distance for name, distance in far.items() if distance >= GRADIENT} == {}
    # What is added to every key changes no weight of any softmax.
    (bias,) = leaves(ours).keys() - far.keys()
    assert bias == "layers.self_attn.k_proj.bias"
    assert jnp.abs(leaves(ours)[bias]).max() < 1e-6 * max(float(jnp.abs(leaf).max()) for leaf in theirs.values())


# Mutants: what is subtly wrong must be found.


@pytest.mark.parametrize(
    ("encoder", "gelu"),
    [
        ("l", modeling.gelu),
        ("h", modeling.quick_gelu),
        ("g", modeling.quick_gelu),
        ("h", partial(jax.nn.gelu, approximate=True)),
    ],
)
def test_another_activation_is_found(encoder: str, gelu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling, "ACTIVATIONS", dict.fromkeys(("gelu", "quick_gelu"), gelu))
    assert min(distances(encoder).values()) > MODEL


@pytest.mark.parametrize("part", ["norm", "layer"])
def test_another_epsilon_is_found(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model("l").layers.layer_norm1, "eps", 1e-6)
    assert distance_of_part("l", part, "quiet") > 100 * LAYER


def test_query_for_key_is_found() -> None:
    params = leaves(nnx.state(model("l")))

    def swap(name: str, leaf: jax.Array) -> jax.Array:
        other = {"q_proj": "k_proj", "k_proj": "q_proj"}
        return params[".".join(other.get(word, word) for word in name.split("."))]

    assert min(distances("l", spoil=swap).values()) > 100 * MODEL


def test_seeing_what_comes_after_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling, "causal_mask", lambda length: np.ones((length, length), bool))
    assert min(distances("l").values()) > 100 * MODEL


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_last_end_for_the_first_is_found(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling, "end_positions", lambda tokens, eos: jnp.full(tokens.shape[:1], tokens.shape[1] - 1))
    far = distances(encoder)
    assert far["last"] < MODEL
    assert far["pooled"] > 100 * MODEL


@pytest.mark.parametrize("folder", ["clip_single", "clip_sharded"])
def test_folders_that_transformers_wrote_are_loaded(folder: str, tmp_path: Path) -> None:
    loaded = load(DATA / folder)
    cfg = CLIPTextConfig.from_published(weights.read_config(DATA / folder))
    assert (loaded.text_projection is not None) == cfg.projected == (folder == "clip_sharded")
    weights.save(TABLE, nnx.state(loaded), tmp_path / "again", config=cfg.to_published(), stem="model")
    written = load_file(tmp_path / "again" / "model.safetensors")
    # As transformers names them where there is no projection, and parameters were drawn by that name.
    theirs = {name if cfg.projected else name.removeprefix(PREFIX): value for name, value in written.items()}
    drawn = redraw({name: value.shape for name, value in theirs.items()}, seed=1)
    assert all(np.array_equal(theirs[name], drawn[name]) for name in drawn)
