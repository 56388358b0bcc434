"""The UNet against diffusers', every parameter drawn anew, in float32; and mutants of it, none of which pass."""

import dataclasses
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
from mdctl.models.unet import layers, modeling, transformer
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import Added, UNet, UpBlock
from mdctl.models.unet.transformer import ProjectedAttention, TransformerBlock
from mdctl.models.unet.weights import weight_table
from mdctl.parallel.blocks import scan_on_one_device
from mdctl.parallel.execution import Execution
from tests.parity.arrays import DATA, distance, reference
from tests.parity.redraw import redraw
from tests.parity.thinning import thin
from tests.parity.tolerances import GRADIENT, LAYER, MODEL

ARRAYS = reference("unet")
KINDS = ("sd1", "sd2", "sdxl")
IMAGES = ("square", "odd")
LOUDNESS = ("loud", "quiet")

CONFIGS = {kind: UNetConfig.from_published(json.loads(str(ARRAYS[f"{kind}/config"]))) for kind in KINDS}
QUICKLY = {"xla_backend_optimization_level": "0"}  # a compiler that does less makes the same numbers
SHAPES = {kind: json.loads(str(ARRAYS[f"{kind}/shapes"])) for kind in KINDS}


def build(cfg: UNetConfig, execution: Execution) -> tuple[Any, Any]:
    """Return the graph and the abstract parameters."""
    return nnx.split(nnx.eval_shape(lambda: UNet(cfg, execution=execution, rngs=nnx.Rngs(0))))


def as_ours(kind: str, tensors: Mapping[str, np.ndarray]) -> Any:
    """Return published tensors as a tree of ours, by way of a folder."""
    _, abstract = build(CONFIGS[kind], Execution.plain())
    with TemporaryDirectory() as name:
        save_file(dict(tensors), Path(name) / "diffusion_pytorch_model.safetensors")
        return weights.load(weight_table(CONFIGS[kind]), Path(name), abstract)


def as_published(cfg: UNetConfig, params: Any) -> dict[str, np.ndarray]:
    """Return a tree of ours as published tensors, by way of a folder."""
    with TemporaryDirectory() as name:
        weights.save(weight_table(cfg), params, Path(name) / "saved", config=cfg.to_published())
        tensors: dict[str, np.ndarray] = load_file(Path(name) / "saved" / "diffusion_pytorch_model.safetensors")
        return tensors


@cache
def parameters(kind: str) -> Any:
    return as_ours(kind, redraw(SHAPES[kind], seed=1))


@cache
def model(kind: str) -> UNet:
    unet: UNet = nnx.merge(build(CONFIGS[kind], Execution.plain())[0], parameters(kind))
    return unet


def array(name: str) -> jax.Array:
    return jnp.asarray(ARRAYS[name])


def inputs(kind: str, image: str) -> tuple[Any, ...]:
    added = Added(array(f"{image}/pooled"), array(f"{image}/sizes")) if CONFIGS[kind].pooled_dim else None
    return (*(array(f"{image}/{key}") for key in ("latents", "time", "text")), added)


def run(function: Callable[..., Any], *args: Any) -> Any:
    return jax.jit(function).lower(*args).compile(compiler_options=QUICKLY)(*args)


def distance_of_model(kind: str, image: str, execution: Execution, cfg: UNetConfig | None = None) -> float:
    graphdef, _ = build(cfg or CONFIGS[kind], execution)
    prediction = run(lambda params, args: nnx.merge(graphdef, params)(*args), parameters(kind), inputs(kind, image))
    return distance(prediction, ARRAYS[f"{kind}/{image}"])


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_prediction(kind: str, image: str) -> None:
    assert distance_of_model(kind, image, Execution.plain()) < MODEL


@pytest.mark.parametrize("multiple", [16, 100])
def test_prediction_with_padded_tokens(multiple: int) -> None:
    assert distance_of_model("sdxl", "odd", Execution(token_multiple=multiple)) < MODEL


def test_prediction_with_blocks_run_twice() -> None:
    assert distance_of_model("sdxl", "square", Execution(scan=scan_on_one_device(jax.checkpoint))) < MODEL


def test_heads_are_what_the_published_name_calls_their_width() -> None:
    cfg = dataclasses.replace(CONFIGS["sd2"], num_heads=tuple(width // 4 for width in (8, 16, 24)))
    assert distance_of_model("sd2", "square", Execution.plain(), cfg) > MODEL


def test_what_a_control_net_adds_comes_in_where_it_belongs() -> None:
    *down_residuals, mid_residual = (array(f"controlled/residual/{index}") for index in range(7))
    graphdef, _ = build(CONFIGS["sd1"], Execution.plain())

    def predict(params: Any, args: Any, residuals: Any) -> Any:
        return nnx.merge(graphdef, params)(*args, down_residuals=residuals[0], mid_residual=residuals[1])

    controlled = run(predict, parameters("sd1"), inputs("sd1", "odd"), (down_residuals, mid_residual))
    assert distance(controlled, ARRAYS["controlled/prediction"]) < MODEL
    assert distance(ARRAYS["sd1/odd"], ARRAYS["controlled/prediction"]) > MODEL


def layer_array(name: str) -> jax.Array:
    return array(f"layers/{name}")


def scaled(name: str, loudness: str) -> jax.Array:
    return layer_array(name) * {"loud": 1.0, "quiet": 3e-3}[loudness]


def tokens(loudness: str) -> jax.Array:
    wide = scaled("wide", loudness)
    return wide.reshape(wide.shape[0], -1, wide.shape[-1])


def last_block() -> TransformerBlock:
    graphdef, stacked = nnx.split(model("sdxl").down_blocks[1].attentions[0].transformer_blocks)
    block: TransformerBlock = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[-1], stacked))
    return block


def of_time() -> float:
    return distance(model("sd1").embed(layer_array("times"), None), layer_array("temb"))


def of_down() -> float:
    downsampler = model("sd1").down_blocks[0].downsampler
    assert downsampler is not None
    return distance(downsampler(layer_array("x")), layer_array("down"))


def of_up(height: int = 8, width: int = 12, name: str = "up") -> float:
    upsampler = model("sd1").up_blocks[0].upsampler
    assert upsampler is not None
    return distance(upsampler(layer_array("wide"), height, width), layer_array(name))


def of_up_odd() -> float:
    return of_up(7, 11, "up odd")


def of_resnet(loudness: str) -> float:
    out = model("sd1").down_blocks[1].resnets[0](scaled("x", loudness), layer_array("temb")[-2:])
    return distance(out, layer_array(f"{loudness}/resnet"))


def of_resnet_as_wide(loudness: str) -> float:
    out = model("sd1").down_blocks[1].resnets[1](scaled("wide", loudness), layer_array("temb")[-2:])
    return distance(out, layer_array(f"{loudness}/resnet as wide"))


def of_norm_out(loudness: str) -> float:
    return distance(model("sd1").conv_norm_out(scaled("x", loudness)), layer_array(f"{loudness}/norm out"))


def of_transformer(loudness: str) -> float:
    out = model("sd1").down_blocks[0].attentions[1](scaled("x", loudness), layer_array("text"))
    return distance(out, layer_array(f"{loudness}/transformer"))


def of_deep_transformer(loudness: str) -> float:
    out = model("sdxl").down_blocks[1].attentions[0](scaled("wide", loudness), layer_array("text"))
    return distance(out, layer_array(f"{loudness}/deep transformer"))


def of_norm(loudness: str) -> float:
    return distance(last_block().norm1(tokens(loudness)), layer_array(f"{loudness}/norm"))


def of_attn1(loudness: str) -> float:
    x, kernel = tokens(loudness), Execution.plain().attention
    return distance(last_block().attn1(x, x, None, kernel=kernel, keys="tokens"), layer_array(f"{loudness}/attn1"))


def of_attn2(loudness: str) -> float:
    x, text, kernel = tokens(loudness), layer_array("text"), Execution.plain().cross_attention
    return distance(last_block().attn2(x, text, None, kernel=kernel, keys="text"), layer_array(f"{loudness}/attn2"))


def of_ff(loudness: str) -> float:
    return distance(last_block().ff(tokens(loudness)), layer_array(f"{loudness}/ff"))


def of_block(loudness: str) -> float:
    return distance(last_block()(tokens(loudness), layer_array("text"), None), layer_array(f"{loudness}/block"))


IMAGE_LAYERS = (of_resnet, of_resnet_as_wide, of_norm_out, of_transformer, of_deep_transformer)
TOKEN_LAYERS = (of_norm, of_attn1, of_attn2, of_ff, of_block)

LAYERS: dict[str, Callable[[], float]] = {
    **{of.__name__.removeprefix("of_"): of for of in (of_time, of_down, of_up, of_up_odd)},
    **{
        f"{of.__name__.removeprefix('of_')}, {loudness}": partial(of, loudness)
        for of in (*IMAGE_LAYERS, *TOKEN_LAYERS)
        for loudness in LOUDNESS
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    assert LAYERS[name]() < LAYER


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_loss(kind: str) -> None:
    graphdef, _ = build(CONFIGS[kind], Execution.plain())
    target = array("square/target")

    @jax.value_and_grad
    def loss(params: Any) -> jax.Array:
        return jnp.mean(jnp.square(nnx.merge(graphdef, params)(*inputs(kind, "square")) - target))

    value, slopes = run(loss, parameters(kind))
    ours = as_published(CONFIGS[kind], slopes)
    assert distance(value, ARRAYS[f"{kind}/loss"]) < MODEL
    assert ours.keys() == SHAPES[kind].keys()
    names = list(SHAPES[kind])
    ends = np.cumsum([thin(name, ours[name]).size for name in names])
    theirs = np.split(ARRAYS[f"{kind}/gradient"], ends[:-1])
    far = {}
    for name, values, largest in zip(names, theirs, ARRAYS[f"{kind}/largest gradient"], strict=True):
        off = np.abs(thin(name, ours[name]) - values).max(initial=abs(np.abs(ours[name]).max() - largest))
        far[name] = float(off / largest)
    assert {name: share for name, share in far.items() if share >= GRADIENT} == {}


# Mutants: each changes one thing that might pass unnoticed, and names the layer that must tell.


def tanh_gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=True)


def quick_gelu(x: jax.Array) -> jax.Array:
    return x * jax.nn.sigmoid(1.702 * x)


def with_eps(norm: Callable[..., jax.Array], eps: float, instead: float) -> Callable[..., jax.Array]:
    return lambda *args: norm(*args[:-1], instead if args[-1] == eps else args[-1])


def sines_first(numbers: jax.Array, dim: int) -> jax.Array:
    return jnp.roll(layers.sinusoids(numbers, dim), dim // 2, axis=-1)


def key_as_query(self: ProjectedAttention, x: jax.Array, source: jax.Array, mask: Any, **kwargs: Any) -> jax.Array:
    swapped = nnx.clone(self)
    swapped.to_q, swapped.to_k = self.to_k, self.to_q
    return attend(swapped, x, source, mask, **kwargs)


def oldest_first(self: UpBlock, x: jax.Array, left: list[jax.Array], *args: Any) -> jax.Array:
    """Take the same of what is left, but for those of one shape in the order in which they were left."""
    count = len(self.resnets)
    taken = left[-count:]
    for index in range(count - 1):
        if taken[index].shape == taken[index + 1].shape:
            taken[index], taken[index + 1] = taken[index + 1], taken[index]
    left[-count:] = taken
    return go_up(self, x, left, *args)


def gate_first(self: transformer.FeedForward, x: jax.Array) -> jax.Array:
    gate, h = jnp.split(self.proj_in(x), 2, axis=-1)
    return self.proj_out(h * transformer.gelu(gate))


attend, go_up = ProjectedAttention.__call__, UpBlock.__call__
group_eps = (layers, "group_norm", with_eps(layers.group_norm, 1e-5, 1e-6))
image_eps = (layers, "group_norm", with_eps(layers.group_norm, 1e-6, 1e-5))
token_eps = (transformer, "layer_norm", with_eps(transformer.layer_norm, 1e-5, 1e-6))

MUTANTS: dict[str, tuple[tuple[Any, str, Any], str]] = {
    "tanh for erf GELU": ((transformer, "gelu", tanh_gelu), "ff, loud"),
    "quick for erf GELU": ((transformer, "gelu", quick_gelu), "ff, loud"),
    "the other half through GELU": ((transformer.FeedForward, "__call__", gate_first), "ff, loud"),
    "eps of residual blocks": (group_eps, "resnet_as_wide, quiet"),
    "eps of the last norm": (group_eps, "norm_out, quiet"),
    "eps of the norm before transformers": (image_eps, "transformer, quiet"),
    "eps of the norms in transformers": (token_eps, "norm, quiet"),
    "query and key swapped": ((ProjectedAttention, "__call__", key_as_query), "attn1, loud"),
    "sines of the time first": ((modeling, "sinusoids", sines_first), "time"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, layer = MUTANTS[name]
    monkeypatch.setattr(*change)
    assert LAYERS[layer]() > LAYER


def test_the_way_up_takes_the_latest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UpBlock, "__call__", oldest_first)
    assert distance_of_model("sd1", "square", Execution.plain()) > MODEL


@pytest.mark.parametrize("folder", ["unet_single", "unet_sharded"])
def test_folders_that_diffusers_wrote_are_loaded(folder: str) -> None:
    cfg = UNetConfig.from_published(weights.read_config(DATA / folder))
    _, abstract = build(cfg, Execution.plain())
    loaded = weights.load(weight_table(cfg), DATA / folder, abstract)
    drawn = redraw(weights.published_shapes(weight_table(cfg), abstract), seed=1)
    np.testing.assert_array_equal(loaded["conv_in"]["kernel"][0, 1, 2], drawn["conv_in.weight"][:, 2, 0, 1])
    written = as_published(cfg, loaded)
    assert written.keys() == drawn.keys()
    assert all(np.array_equal(written[name], drawn[name]) for name in drawn)
