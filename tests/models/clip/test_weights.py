import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from mdctl.models.clip import CLIPTextConfig, CLIPTextEncoder, load
from mdctl.models.clip.weights import PREFIX, TABLE
from mdctl.models.weights import bind
from mdctl.parallel.execution import Execution
from mdctl.spec.errors import WeightsError
from tests.models.official_trees import official_tree
from tests.parity.redraw import redraw

CONFIGS = {
    "clip-l": CLIPTextConfig.clip_l(),
    "openclip-h": CLIPTextConfig.openclip_h(),
    "openclip-bigg": CLIPTextConfig.openclip_bigg(),
}
SIZES = {"clip-l": 123_060_480, "openclip-h": 340_387_840, "openclip-bigg": 694_659_840}
TINY = CLIPTextConfig(
    vocab_size=11,
    hidden_size=8,
    intermediate_size=12,
    projection_dim=6,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=5,
)


def abstract(cfg: CLIPTextConfig) -> Any:
    return nnx.state(nnx.eval_shape(lambda: CLIPTextEncoder(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))


def tensors(cfg: CLIPTextConfig) -> dict[str, tuple[int, ...]]:
    """Return the tensors by the names that most files have."""
    bound = (tensor for parameter in bind(TABLE, abstract(cfg)) for tensor in parameter.tensors)
    return {tensor.names[0]: tensor.shape for tensor in bound}


def write(folder: Path, values: dict[str, np.ndarray], cfg: CLIPTextConfig = TINY) -> Path:
    save_file(values, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(cfg.to_published()))
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_the_tree_of_an_official_config_is_the_published_one(name: str) -> None:
    official = official_tree(name).tensors
    # The reference's names have the prefix only where there is a projection.
    prefix = "" if CONFIGS[name].projected else PREFIX
    assert tensors(CONFIGS[name]) == {prefix + tensor: shape for tensor, shape in official.items()}
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract(CONFIGS[name]))) == SIZES[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_official_config_json_is_read_and_written_back(name: str) -> None:
    cfg = CONFIGS[name]
    # The reference was made from sizes alone: the class is not in it, nor the number that the hub's files have for the
    # end of a text.
    said = {**official_tree(name).config, "architectures": list(cfg.architectures)}
    assert CLIPTextConfig.from_published(said) == replace(cfg, eos_token_id=49407)
    assert CLIPTextConfig.from_published({**said, "eos_token_id": 2}) == cfg
    assert CLIPTextConfig.from_published(cfg.to_published()) == cfg


@pytest.mark.parametrize("architectures", [{}, {"architectures": None}])
def test_a_config_json_that_leaves_all_out_has_the_published_defaults(architectures: dict[str, Any]) -> None:
    assert CLIPTextConfig.from_published(architectures) == CLIPTextConfig()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model_type", "clip"),
        ("architectures", ["CLIPModel"]),
        ("architectures", []),
        ("architectures", ["CLIPTextModel", "CLIPTextModelWithProjection"]),
        ("hidden_act", "gelu_new"),
        ("hidden_act", None),
        ("eos_token_id", [49407, 2]),
        ("num_attention_heads", 7),
        ("num_hidden_layers", 0),
        ("layer_norm_eps", "1e-5"),
        ("position_embedding_type", "relative"),
    ],
)
def test_a_setting_that_is_not_implemented_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(WeightsError, match=setting):
        CLIPTextConfig.from_published({**official_tree("clip-l").config, setting: value})


@pytest.mark.parametrize("prefix", [PREFIX, ""])
@pytest.mark.parametrize("architectures", [["CLIPTextModel"], ["CLIPTextModelWithProjection"]])
def test_names_with_and_without_the_prefix_are_read(tmp_path: Path, prefix: str, architectures: list[str]) -> None:
    cfg = replace(TINY, architectures=tuple(architectures))
    values = redraw(tensors(cfg), seed=0)
    folder = write(tmp_path, {name.replace(PREFIX, prefix): value for name, value in values.items()}, cfg)
    loaded = load(folder)
    ours = loaded.layers.self_attn.q_proj.kernel[1]
    np.testing.assert_array_equal(ours, values[f"{PREFIX}encoder.layers.1.self_attn.q_proj.weight"].T)
    assert (loaded.text_projection is not None) == cfg.projected


@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_stored_position_numbers_are_ignored_and_told_of(
    tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"{prefix}embeddings.position_ids"
    values = {**redraw(tensors(TINY), seed=0), name: np.arange(TINY.max_position_embeddings, dtype=np.int64)[None]}
    with caplog.at_level(logging.INFO):
        load(write(tmp_path, values))
    assert name in caplog.text


@pytest.mark.parametrize("stray", ["text_projection.weight", "vision_model.embeddings.position_ids"])
def test_a_tensor_that_is_not_this_models_is_refused(tmp_path: Path, stray: str) -> None:
    values = {**redraw(tensors(TINY), seed=0), stray: np.ones((6, 8), np.float32)}
    with pytest.raises(WeightsError, match=f"unknown to this model: {stray}"):
        load(write(tmp_path, values))


def test_a_missing_projection_is_refused(tmp_path: Path) -> None:
    cfg = replace(TINY, architectures=("CLIPTextModelWithProjection",))
    with pytest.raises(WeightsError, match=r"missing: text_projection\.weight"):
        load(write(tmp_path, redraw(tensors(TINY), seed=0), cfg))
