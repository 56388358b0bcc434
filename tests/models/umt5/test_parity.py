"""The encoder against transformers', every parameter drawn anew, in float32."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from mdctl.models.umt5 import UMT5Encoder, load, modeling
from mdctl.models.umt5.modeling import Block, position_buckets
from mdctl.parallel.rules import path_name
from tests.parity.arrays import distance, reference
from tests.parity.redraw import redraw
from tests.parity.tolerances import LAYER, MODEL

ARRAYS = reference("umt5")
MASK = ARRAYS["mask"]


@cache
def encoder() -> UMT5Encoder:
    values = redraw(json.loads(str(ARRAYS["shapes"])), seed=1)
    values["encoder.embed_tokens.weight"] = values["shared.weight"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_file(values, folder / "model.safetensors")
        (folder / "config.json").write_text(str(ARRAYS["config"]))
        return load(folder)


def distance_of_model(spoil: Callable[[str, jax.Array], jax.Array] = lambda name, leaf: leaf) -> float:
    """Run the model jitted, as jobs do; `spoil` may change its parameters."""
    graphdef, params = nnx.split(encoder())
    params = jax.tree.map_with_path(lambda path, leaf: spoil(path_name(path), leaf), params)
    embed = jax.jit(lambda params, *args: nnx.merge(graphdef, params)(*args))
    embeddings = embed(params, jnp.asarray(ARRAYS["tokens"]), jnp.asarray(MASK))
    return distance(np.asarray(embeddings)[MASK], ARRAYS["embeddings"][MASK])


def distance_of_layer() -> float:
    graphdef, stacked = nnx.split(encoder().block)
    block: Block = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[1], stacked))
    buckets = jnp.asarray(position_buckets(MASK.shape[1], encoder().cfg))
    out = block(jnp.asarray(ARRAYS["layer_in"]), buckets, jnp.asarray(MASK))
    return distance(np.asarray(out)[MASK], ARRAYS["layer_out"][MASK])


def test_model() -> None:
    assert distance_of_model() < MODEL


def test_layer() -> None:
    assert distance_of_layer() < LAYER


def test_buckets_of_far_and_near_positions() -> None:
    buckets = position_buckets(601, encoder().cfg)
    assert np.array_equal(np.concatenate([buckets[::-1, 0], buckets[0, 1:]]), ARRAYS["buckets"])


# Mutants: what is subtly wrong must be found.


def test_the_erf_form_of_gelu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    gelu = jax.nn.gelu
    monkeypatch.setattr(jax.nn, "gelu", lambda x, approximate: gelu(x, approximate=False))
    assert distance_of_model() > 10 * MODEL


def test_another_epsilon_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for norm in (encoder().block.attention_norm, encoder().block.feed_forward_norm, encoder().final_layer_norm):
        monkeypatch.setattr(norm, "eps", 1e-5)
    assert distance_of_model() > 10 * MODEL


def test_one_table_of_biases_for_all_layers_is_found() -> None:
    def share(name: str, leaf: jax.Array) -> jax.Array:
        return jnp.broadcast_to(leaf[:1], leaf.shape) if "relative_attention_bias" in name else leaf

    assert distance_of_model(share) > 100 * MODEL


def test_scaled_scores_are_found() -> None:
    scale = encoder().cfg.d_kv ** -0.5
    assert (
        distance_of_model(lambda name, leaf: leaf * scale if name.endswith("attention.q.kernel") else leaf)
        > 100 * MODEL
    )


def test_attending_to_padding_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling, "LOWEST", 0.0)
    assert distance_of_model() > 100 * MODEL
