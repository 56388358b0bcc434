"""The ControlNet against diffusers', every parameter drawn anew, in float32; and mutants of it, none of which pass.

Its residuals, then what a UNet predicts with them: of one ControlNet, scaled, and of two.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
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
from mdctl.models.controlnet import modeling
from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.controlnet.modeling import ControlNet, Residuals
from mdctl.models.controlnet.weights import from_unet, weight_table
from mdctl.models.unet import layers
from mdctl.models.unet import modeling as unet_modeling
from mdctl.models.unet import weights as unet_weights
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import Added, UNet
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import path_name
from tests.parity.arrays import DATA, distance, reference
from tests.parity.redraw import redraw
from tests.parity.thinning import thin
from tests.parity.tolerances import GRADIENT, LAYER, MODEL

ARRAYS = reference("controlnet")
KINDS = ("sd1", "sd2", "sdxl")
IMAGES = ("square", "odd")
SEEDS = (3, 4)
QUICKLY = {"xla_backend_optimization_level": "0"}  # a compiler that does less makes the same numbers


def said(name: str) -> Any:
    return json.loads(str(ARRAYS[name]))


CONFIGS = {kind: ControlNetConfig.from_published(said(f"{kind}/config")) for kind in KINDS}
UNETS = {kind: UNetConfig.from_published(said(f"{kind}/unet config")) for kind in KINDS}
SCALES = [float(scale) for scale in ARRAYS["scales"]]


def build(cfg: ControlNetConfig) -> tuple[Any, Any]:
    """Return the graph and the abstract parameters."""
    return nnx.split(nnx.eval_shape(lambda: ControlNet(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))


def build_unet(cfg: UNetConfig) -> tuple[Any, Any]:
    return nnx.split(nnx.eval_shape(lambda: UNet(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))


def read(table: weights.Table, tensors: dict[str, np.ndarray], abstract: Any) -> Any:
    """Return published tensors as a tree of ours, by way of a folder."""
    with TemporaryDirectory() as name:
        save_file(tensors, Path(name) / "diffusion_pytorch_model.safetensors")
        return weights.load(table, Path(name), abstract)


def as_published(cfg: ControlNetConfig, params: Any) -> dict[str, np.ndarray]:
    """Return a tree of ours as published tensors, by way of a folder."""
    with TemporaryDirectory() as name:
        weights.save(weight_table(cfg), params, Path(name) / "saved", config=cfg.to_published())
        tensors: dict[str, np.ndarray] = load_file(Path(name) / "saved" / "diffusion_pytorch_model.safetensors")
        return tensors


@cache
def parameters(kind: str) -> tuple[Any, ...]:
    """Return the parameters of both ControlNets."""
    tensors = (redraw(said(f"{kind}/shapes"), seed=seed) for seed in SEEDS)
    return tuple(read(weight_table(CONFIGS[kind]), drawn, build(CONFIGS[kind])[1]) for drawn in tensors)


@cache
def unet_parameters(kind: str) -> Any:
    drawn = redraw(said(f"{kind}/unet shapes"), seed=1)
    return read(unet_weights.weight_table(UNETS[kind]), drawn, build_unet(UNETS[kind])[1])


def array(name: str) -> jax.Array:
    return jnp.asarray(ARRAYS[name])


def pixels(image: str, index: int) -> jax.Array:
    return array(f"{image}/condition/{index}").astype(jnp.float32) / 255


def inputs(kind: str, image: str) -> tuple[Any, ...]:
    added = Added(array(f"{image}/pooled"), array(f"{image}/sizes")) if CONFIGS[kind].unet.pooled_dim else None
    return (*(array(f"{image}/{key}") for key in ("latents", "time", "text")), added)


def run(function: Callable[..., Any], *args: Any) -> Any:
    return jax.jit(function).lower(*args).compile(compiler_options=QUICKLY)(*args)


def compile_control_net(kind: str, image: str) -> Callable[..., Residuals]:
    """Compile a ControlNet of a kind for an image."""
    graphdef, _ = build(CONFIGS[kind])

    def say(params: Any, args: Any, condition: Any) -> Residuals:
        *latents_time_text, added = args
        residuals: Residuals = nnx.merge(graphdef, params)(*latents_time_text, condition, added)
        return residuals

    args = (parameters(kind)[0], inputs(kind, image), pixels(image, 0))
    compiled: Callable[..., Residuals] = jax.jit(say).lower(*args).compile(compiler_options=QUICKLY)
    return compiled


compiled_once = cache(compile_control_net)


@cache
def control(kind: str, image: str, net: int = 0) -> Residuals:
    """Return what one of the ControlNets says."""
    return compiled_once(kind, image)(parameters(kind)[net], inputs(kind, image), pixels(image, net))


@cache
def compiled_unet(kind: str, image: str) -> Callable[..., jax.Array]:
    """Compile the UNet of a kind for an image."""
    graphdef, _ = build_unet(UNETS[kind])

    def predict(params: Any, args: Any, said: Residuals) -> jax.Array:
        prediction: jax.Array = nnx.merge(graphdef, params)(*args, down_residuals=said.down, mid_residual=said.mid)
        return prediction

    args = (unet_parameters(kind), inputs(kind, image), control(kind, image))
    compiled: Callable[..., jax.Array] = jax.jit(predict).lower(*args).compile(compiler_options=QUICKLY)
    return compiled


def distances(residuals: Residuals, name: str) -> list[float]:
    """Return the distance of each residual from the reference's, the middle's last."""
    images = [*residuals.down, residuals.mid]
    assert f"{name}/{len(images)}" not in ARRAYS
    return [distance(image, ARRAYS[f"{name}/{index}"]) for index, image in enumerate(images)]


def of_one(kind: str, image: str) -> Residuals:
    return control(kind, image)


def of_one_scaled(kind: str, image: str) -> Residuals:
    return modeling.scaled(control(kind, image), SCALES[0])


def of_two(kind: str, image: str) -> Residuals:
    each = [modeling.scaled(control(kind, image, net), scale) for net, scale in enumerate(SCALES)]
    return modeling.combined(each)


USES = {"one": of_one, "scaled": of_one_scaled, "two": of_two}


@pytest.mark.parametrize("use", ["one", "two"])
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_residuals(kind: str, image: str, use: str) -> None:
    assert max(distances(USES[use](kind, image), f"{kind}/{image}/{use}")) < MODEL


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("kind", "image"), [("sd1", "odd"), ("sd2", "square"), ("sdxl", "odd")])
def test_prediction_with_residuals(kind: str, image: str, use: str) -> None:
    said = USES[use](kind, image)
    prediction = compiled_unet(kind, image)(unet_parameters(kind), inputs(kind, image), said)
    far = {name: distance(prediction, ARRAYS[f"{kind}/{image}/{name}/prediction"]) for name in USES}
    assert far.pop(use) < MODEL
    assert min(far.values()) > 100 * MODEL


def net() -> ControlNet:
    merged: ControlNet = nnx.merge(build(CONFIGS["sd1"])[0], parameters("sd1")[0])
    return merged


def layer_array(name: str) -> jax.Array:
    return array(f"layers/{name}")


def of_first() -> float:
    first = net().controlnet_cond_embedding.conv_in(pixels("odd", 0))
    return distance(first[:, :5, :9], layer_array("first"))


def of_down() -> float:
    embedding = net().controlnet_cond_embedding
    down = embedding.blocks[1](embedding.conv_in(pixels("odd", 0)))
    return distance(down[:, -5:, -9:], layer_array("down"))


def of_embedding() -> float:
    return distance(net().controlnet_cond_embedding(pixels("odd", 0)), layer_array("embedding"))


def of_zero() -> float:
    return distance(net().controlnet_down_blocks[0](layer_array("embedding")), layer_array("zero"))


def of_mid_zero() -> float:
    return distance(net().controlnet_mid_block(layer_array("wide")), layer_array("mid zero"))


LAYERS = {of.__name__.removeprefix("of_"): of for of in (of_first, of_down, of_embedding, of_zero, of_mid_zero)}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    assert LAYERS[name]() < LAYER


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_loss_of_what_the_unet_predicts(kind: str) -> None:
    (graphdef, _), (unet_graphdef, _) = build(CONFIGS[kind]), build_unet(UNETS[kind])

    @jax.value_and_grad
    def loss(params: Any, unet: Any, args: Any, condition: Any, target: Any) -> jax.Array:
        *latents_time_text, added = args
        residuals = modeling.scaled(nnx.merge(graphdef, params)(*latents_time_text, condition, added), SCALES[0])
        down, mid = residuals
        return jnp.mean(
            jnp.square(nnx.merge(unet_graphdef, unet)(*args, down_residuals=down, mid_residual=mid) - target)
        )

    given = (unet_parameters(kind), inputs(kind, "square"), pixels("square", 0), array("square/target"))
    value, slopes = run(loss, parameters(kind)[0], *given)
    ours, names = as_published(CONFIGS[kind], slopes), list(said(f"{kind}/shapes"))
    assert distance(value, ARRAYS[f"{kind}/loss"]) < MODEL
    assert ours.keys() == {*names}
    ends = np.cumsum([thin(name, ours[name]).size for name in names])
    theirs = np.split(ARRAYS[f"{kind}/gradient"], ends[:-1])
    far = {}
    for name, values, largest in zip(names, theirs, ARRAYS[f"{kind}/largest gradient"], strict=True):
        off = np.abs(thin(name, ours[name]) - values).max(initial=abs(np.abs(ours[name]).max() - largest))
        far[name] = float(off / largest)
    assert {name: share for name, share in far.items() if share >= GRADIENT} == {}


# Mutants: each changes one thing that might pass unnoticed.


def without_activation(x: jax.Array) -> jax.Array:
    return x


def sines_first(numbers: jax.Array, dim: int) -> jax.Array:
    return jnp.roll(layers.sinusoids(numbers, dim), dim // 2, axis=-1)


def first_alone(residuals: Sequence[Residuals]) -> Residuals:
    return residuals[0]


def as_said(residuals: Residuals, _: float) -> Residuals:
    return residuals


def of_sd1(params: Any, condition: jax.Array, say: Callable[..., Residuals] | None = None) -> list[float]:
    """Return the distance of each residual, from other parameters or another condition."""
    say = say or compiled_once("sd1", "odd")
    return distances(say(params, inputs("sd1", "odd"), condition), "sd1/odd/one")


def of_compiled_anew() -> float:
    return max(of_sd1(parameters("sd1")[0], pixels("odd", 0), compile_control_net("sd1", "odd")))


def of_two_together() -> float:
    return min(distances(of_two("sd1", "odd"), "sd1/odd/two"))


MUTANTS: dict[str, tuple[tuple[Any, str, Any], Callable[[], float]]] = {
    "nothing between the layers of the condition": ((jax.nn, "silu", without_activation), of_embedding),
    "sines of the time first": ((unet_modeling, "sinusoids", sines_first), of_compiled_anew),
    "the scale is ignored": ((modeling, "scaled", as_said), of_two_together),
    "the second is ignored": ((modeling, "combined", first_alone), of_two_together),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, measured = MUTANTS[name]
    monkeypatch.setattr(*change)
    assert measured() > 100 * MODEL


def changed(instead: Mapping[str, Callable[[jax.Array], jax.Array]]) -> Any:
    """Return the parameters with others instead of these."""

    def change(path: Any, leaf: jax.Array) -> jax.Array:
        return instead[name](leaf) if (name := path_name(path)) in instead else leaf

    return jax.tree.map_with_path(change, parameters("sd1")[0])


@pytest.mark.parametrize("index", range(7))
def test_a_zero_convolution_left_out_is_found_out(index: int) -> None:
    zeros = "controlnet_mid_block" if index == 6 else f"controlnet_down_blocks.{index}"
    params = changed({f"{zeros}.kernel": lambda kernel: jnp.eye(kernel.shape[0]), f"{zeros}.bias": jnp.zeros_like})
    far = of_sd1(params, pixels("odd", 0))
    assert far.pop(index) > 100 * MODEL
    assert max(far) < MODEL


def test_a_condition_left_out_is_found_out() -> None:
    last = "controlnet_cond_embedding.conv_out"
    params = changed({f"{last}.kernel": jnp.zeros_like, f"{last}.bias": jnp.zeros_like})
    assert min(of_sd1(params, pixels("odd", 0))) > 100 * MODEL


def test_a_condition_from_minus_one_to_one_is_found_out() -> None:
    assert min(of_sd1(parameters("sd1")[0], 2 * pixels("odd", 0) - 1)) > 100 * MODEL


def test_a_start_from_a_unet_is_theirs() -> None:
    kind = "sdxl"
    cfg = ControlNetConfig.of(UNETS[kind])
    cfg = dataclasses.replace(cfg, conditioning_embedding_out_channels=(4, 6, 6, 8))
    assert cfg == CONFIGS[kind]
    new = run(lambda: nnx.state(ControlNet(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    started = as_published(cfg, from_unet(unet_parameters(kind), new))
    unet, theirs = redraw(said(f"{kind}/unet shapes"), seed=1), said(f"{kind}/start")
    shared = started.keys() & unet.keys()
    assert {name for name in shared if np.array_equal(started[name], unet[name])} == {*theirs["copied"]}
    # Biases begin at zero here, which torch draws.
    drawn = {name for name in started if name.startswith("controlnet_cond_embedding") and name.endswith("bias")}
    assert {name for name, value in started.items() if not value.any()} == {*theirs["zero"]} | drawn


@pytest.mark.parametrize("folder", ["controlnet_single", "controlnet_sharded"])
def test_folders_that_diffusers_wrote_are_loaded(folder: str) -> None:
    published = weights.read_config(DATA / folder)
    cfg = ControlNetConfig.from_published(published)
    assert cfg.to_published() == {name: value for name, value in published.items() if name != "_diffusers_version"}
    _, abstract = build(cfg)
    loaded = weights.load(weight_table(cfg), DATA / folder, abstract)
    drawn = redraw(weights.published_shapes(weight_table(cfg), abstract), seed=SEEDS[0])
    np.testing.assert_array_equal(
        loaded["controlnet_down_blocks"][1]["kernel"][2], drawn["controlnet_down_blocks.1.weight"][:, 2, 0, 0]
    )
    written = as_published(cfg, loaded)
    assert written.keys() == drawn.keys()
    assert all(np.array_equal(written[name], drawn[name]) for name in drawn)
