import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from mdctl.models.umt5 import UMT5Config, UMT5Encoder, load
from mdctl.models.umt5.weights import TABLE
from mdctl.models.weights import published_shapes
from mdctl.parallel.execution import Execution
from mdctl.spec.errors import WeightsError
from tests.models.official_trees import official_tree
from tests.parity.redraw import redraw

OFFICIAL = official_tree("umt5-xxl")
TINY = UMT5Config(vocab_size=11, d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2)


def abstract(cfg: UMT5Config) -> Any:
    return nnx.state(nnx.eval_shape(lambda: UMT5Encoder(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))


def test_the_tree_of_the_official_config_is_the_published_one() -> None:
    params = abstract(UMT5Config.umt5_xxl())
    assert published_shapes(TABLE, params) == OFFICIAL.tensors
    # The published count; its embedding is listed twice, under both names.
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 5_680_910_336


def test_the_official_config_json_is_read_and_written_back() -> None:
    cfg = UMT5Config.from_published(OFFICIAL.config)
    assert cfg == UMT5Config.umt5_xxl()
    assert UMT5Config.from_published(cfg.to_published()) == cfg


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model_type", "t5"),
        ("feed_forward_proj", "relu"),
        ("dense_act_fn", "gelu"),
        ("is_decoder", True),
        ("eos_token_id", 2),
        ("sliding_window", 128),
        ("num_layers", 0),
        ("layer_norm_epsilon", "1e-6"),
    ],
)
def test_a_setting_that_is_not_implemented_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(WeightsError, match=setting):
        UMT5Config.from_published({**OFFICIAL.config, setting: value})


@pytest.mark.parametrize("left_out", ["shared.weight", "encoder.embed_tokens.weight", "neither"])
def test_the_embedding_is_found_under_either_name(tmp_path: Path, left_out: str) -> None:
    tensors = redraw(published_shapes(TABLE, abstract(TINY)), seed=0)
    embedding = tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"]
    save_file({name: value for name, value in tensors.items() if name != left_out}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_published()))
    assert np.array_equal(load(tmp_path).shared.embedding[...], embedding)


def test_weights_without_an_embedding_are_refused(tmp_path: Path) -> None:
    tensors = redraw(published_shapes(TABLE, abstract(TINY)), seed=0)
    del tensors["shared.weight"], tensors["encoder.embed_tokens.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_published()))
    with pytest.raises(WeightsError, match=r"missing: shared\.weight"):
        load(tmp_path)
