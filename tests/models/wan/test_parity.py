"""The transformer against diffusers', every parameter drawn anew, in float32; and mutants of it, none of which pass."""

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

from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.models import weights
from mdctl.models.wan import modeling, rotary
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import Block, CrossAttention, RMSNorm, SelfAttention, WanTransformer
from mdctl.models.wan.rotary import Rotary, rotary_positions
from mdctl.models.wan.weights import TABLE
from mdctl.parallel.blocks import scan_on_one_device
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import path_name
from mdctl.spec.shapes import LatentShape
from tests.parity.arrays import DATA, distance, reference
from tests.parity.redraw import redraw
from tests.parity.tolerances import GRADIENT, LAYER, MODEL

ARRAYS = reference("wan_transformer")
CONFIG = WanConfig.from_published(json.loads(str(ARRAYS["config"])))
VIDEOS = ("wide", "tall", "image")
LOUDNESS = ("loud", "soft", "quiet")


def build(cfg: WanConfig, execution: Execution) -> tuple[Any, Any]:
    """Return the graph and the abstract parameters."""
    return nnx.split(nnx.eval_shape(lambda: WanTransformer(cfg, execution=execution, rngs=nnx.Rngs(0))))


def as_ours(tensors: Mapping[str, np.ndarray]) -> Any:
    """Return published tensors as a tree of ours, by way of a folder."""
    _, abstract = build(CONFIG, Execution.plain())
    with TemporaryDirectory() as name:
        save_file(dict(tensors), Path(name) / "diffusion_pytorch_model.safetensors")
        return weights.load(TABLE, Path(name), abstract)


@cache
def parameters() -> Any:
    return as_ours(redraw(json.loads(str(ARRAYS["shapes"])), seed=1))


def inputs(video: str) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(ARRAYS[f"{video}/{key}"]) for key in ("latents", "time", "text"))


def predict(video: str, execution: Execution) -> jax.Array:
    graphdef, _ = build(CONFIG, execution)
    prediction: jax.Array = jax.jit(lambda params, args: nnx.merge(graphdef, params)(*args))(
        parameters(), inputs(video)
    )
    return prediction


def distance_of_model(video: str, execution: Execution) -> float:
    return distance(predict(video, execution), ARRAYS[f"{video}/prediction"])


@pytest.mark.parametrize("video", VIDEOS)
def test_prediction(video: str) -> None:
    assert distance_of_model(video, Execution.plain()) < MODEL


@pytest.mark.parametrize("multiple", [16, 100])
def test_prediction_with_padded_tokens(multiple: int) -> None:
    assert distance_of_model("wide", Execution(token_multiple=multiple)) < MODEL


def test_prediction_with_blocks_run_twice() -> None:
    assert distance_of_model("wide", Execution(scan=scan_on_one_device(jax.checkpoint))) < MODEL


def layer_array(name: str) -> jax.Array:
    return jnp.asarray(ARRAYS[f"layers/{name}"])


def last_block() -> Block:
    model = nnx.merge(build(CONFIG, Execution.plain())[0], parameters())
    graphdef, stacked = nnx.split(model.blocks)
    block: Block = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[-1], stacked))
    return block


def condition_embedder() -> modeling.ConditionEmbedder:
    model: WanTransformer = nnx.merge(build(CONFIG, Execution.plain())[0], parameters())
    return model.condition_embedder


def positions() -> Rotary:
    grid = LatentShape(*ARRAYS["wide/latents"].shape[1:]).patches(CONFIG.patch_size)
    return rotary_positions(grid, CONFIG.attention_head_dim, grid.tokens)


def of_time() -> float:
    return distance(condition_embedder().time_embedder(layer_array("times")), layer_array("temb"))


def of_modulation() -> float:
    _, modulation, _ = condition_embedder()(layer_array("times"), jnp.zeros((6, 1, CONFIG.text_dim)))
    return distance(modulation, layer_array("modulation"))


def of_text() -> float:
    return distance(condition_embedder().text_embedder(jnp.asarray(ARRAYS["wide/text"])), layer_array("text"))


def of_patches() -> float:
    model: WanTransformer = nnx.merge(build(CONFIG, Execution.plain())[0], parameters())
    patches = layer_array("patches")
    return distance(model.patch_embedding(jnp.asarray(ARRAYS["wide/latents"]), patches.shape[1]), patches)


def of_positions() -> float:
    cos, sin = positions()
    return max(distance(cos, layer_array("rotary/cos")), distance(sin, layer_array("rotary/sin")))


def of_attn1(loudness: str) -> float:
    out = last_block().attn1(layer_array(f"{loudness}/x"), positions(), None)
    return distance(out, layer_array(f"{loudness}/attn1"))


def of_attn2(loudness: str) -> float:
    out = last_block().attn2(layer_array(f"{loudness}/x"), layer_array(f"{loudness}/context"))
    return distance(out, layer_array(f"{loudness}/attn2"))


def of_norm2(loudness: str) -> float:
    return distance(last_block().norm2(layer_array(f"{loudness}/x")), layer_array(f"{loudness}/norm2"))


def of_ffn(loudness: str) -> float:
    return distance(last_block().ffn(layer_array(f"{loudness}/x")), layer_array(f"{loudness}/ffn"))


def of_block(loudness: str) -> float:
    rows = layer_array("modulation")[1:3]
    out = last_block()(layer_array(f"{loudness}/x"), layer_array("text"), rows, positions(), None)
    return distance(out, layer_array(f"{loudness}/block"))


LAYERS: dict[str, Callable[[], float]] = {
    "time": of_time,
    "modulation": of_modulation,
    "text": of_text,
    "patches": of_patches,
    "positions": of_positions,
    **{
        f"{of.__name__.removeprefix('of_')}, {loudness}": partial(of, loudness)
        for of in (of_attn1, of_attn2, of_norm2, of_ffn, of_block)
        for loudness in LOUDNESS
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    assert LAYERS[name]() < LAYER


def test_gradients_of_the_training_loss() -> None:
    graphdef, _ = build(CONFIG, Execution.plain())
    process = FlowMatching()
    data, time, text = inputs("wide")
    noise, share = jnp.asarray(ARRAYS["wide/noise"]), time[:, None, None, None, None] / 1000

    @jax.jit
    @jax.value_and_grad
    def loss(params: Any) -> jax.Array:
        prediction = nnx.merge(graphdef, params)(process.add_noise(data, noise, share), time, text)
        return jnp.mean(jnp.square(prediction - process.target(data, noise, share)))

    value, ours = loss(parameters())
    prefix = "gradient/"
    theirs = as_ours({name.removeprefix(prefix): ARRAYS[name] for name in ARRAYS if name.startswith(prefix)})
    far = jax.tree.map_with_path(lambda path, a, b: (path_name(path), distance(a, b)), ours, theirs)
    distances = dict(jax.tree.leaves(far, is_leaf=lambda leaf: isinstance(leaf, tuple)))
    assert distance(value, ARRAYS["loss"]) < MODEL
    assert {name: far for name, far in distances.items() if far >= GRADIENT} == {}


# Mutants: each changes one thing that might pass unnoticed, and names the layer that must tell.


def erf_gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=False)


def with_eps(norm: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return lambda *args: norm(*args[:-1], 1e-5)


def sines_first(embed: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return lambda time, dim: jnp.roll(embed(time, dim), dim // 2, axis=-1)


def sines_for_cosines(x: jax.Array, angles: Rotary, heads: int) -> jax.Array:
    return rotary.rotate(x, Rotary(angles.sin, angles.cos), heads)


def time_gets_the_least(head_dim: int) -> tuple[int, int, int]:
    side = 2 * (head_dim // 5)
    return head_dim - 2 * side, side, side


def query_as_projected(
    self: SelfAttention, x: jax.Array, linear: nnx.Linear, norm: RMSNorm, angles: Rotary
) -> jax.Array:
    heads = self.cfg.num_attention_heads
    assert linear.bias is not None
    turned = modeling.affine(x, rotary.halve(linear.kernel[...], heads), rotary.halve(linear.bias[...], heads))
    if norm is self.norm_k:
        turned = modeling.rms_norm(turned, rotary.halve(norm.scale[...], heads), self.cfg.eps)
    return rotary.rotate(turned, angles, heads)


def cross_query_as_projected(self: CrossAttention, x: jax.Array, text: jax.Array) -> jax.Array:
    q, k, v = self.to_q(x), self.norm_k(self.to_k(text)), self.to_v(text)
    split = (self.heads(q, "tokens"), self.heads(k, "text"), self.heads(v, "text"))
    return self.to_out(self.execution.cross_attention(*split).reshape(x.shape))


layer_norm_eps = (modeling, "layer_norm", with_eps(modeling.layer_norm))
rms_norm_eps = (modeling, "rms_norm", with_eps(modeling.rms_norm))

MUTANTS: dict[str, tuple[tuple[Any, str, Any], str]] = {
    "erf for tanh GELU": ((modeling, "gelu", erf_gelu), "ffn, loud"),
    "erf for tanh GELU of the text": ((modeling, "gelu", erf_gelu), "text"),
    "eps of the norm between the attentions": (layer_norm_eps, "norm2, quiet"),
    "eps of the modulated norms": (layer_norm_eps, "block, quiet"),
    "eps of query and key": (rms_norm_eps, "attn1, soft"),
    "eps of query and key over the text": (rms_norm_eps, "attn2, soft"),
    "sines of the time first": ((modeling, "timestep_embedding", sines_first(modeling.timestep_embedding)), "time"),
    "sines for cosines of positions": ((modeling, "rotate", sines_for_cosines), "attn1, loud"),
    "axes split otherwise": ((rotary, "rotary_dims", time_gets_the_least), "attn1, loud"),
    "query not normalised": ((SelfAttention, "_turned", query_as_projected), "attn1, loud"),
    "query over the text not normalised": ((CrossAttention, "__call__", cross_query_as_projected), "attn2, loud"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, layer = MUTANTS[name]
    monkeypatch.setattr(*change)
    assert LAYERS[layer]() > LAYER


@pytest.mark.parametrize("folder", ["wan_transformer_single", "wan_transformer_sharded"])
def test_folders_that_diffusers_wrote_are_loaded(folder: str) -> None:
    cfg = WanConfig.from_published(weights.read_config(DATA / folder))
    _, abstract = build(cfg, Execution.plain())
    loaded = weights.load(TABLE, DATA / folder, abstract)
    drawn = redraw(weights.published_shapes(TABLE, abstract), seed=1)
    np.testing.assert_array_equal(
        loaded["patch_embedding"]["kernel"][0, 1, 0, 2], drawn["patch_embedding.weight"][:, 2, 0, 1, 0]
    )
    with TemporaryDirectory() as name:
        weights.save(TABLE, loaded, Path(name) / "again", config=cfg.to_published())
        written = load_file(Path(name) / "again" / "diffusion_pytorch_model.safetensors")
    assert written.keys() == drawn.keys()
    assert all(np.array_equal(written[name], drawn[name]) for name in drawn)
