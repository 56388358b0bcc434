import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from mdctl.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig, load
from mdctl.models.autoencoder_kl.weights import TABLE
from mdctl.models.weights import bind
from mdctl.parallel.execution import Execution
from mdctl.spec.errors import WeightsError
from mdctl.spec.shapes import Strides
from tests.models.official_trees import official_tree
from tests.parity.redraw import redraw

CONFIGS = {
    "sd-vae": AutoencoderKLConfig.sd(),
    "sdxl-vae": AutoencoderKLConfig.sdxl(),
    "flux-vae": AutoencoderKLConfig.flux(),
}
SIZES = {"sd-vae": 83_653_863, "sdxl-vae": 83_653_863, "flux-vae": 83_819_683}
TINY = AutoencoderKLConfig(block_out_channels=(4, 8), norm_num_groups=2)
FORMER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def abstract(cfg: AutoencoderKLConfig) -> Any:
    return nnx.state(nnx.eval_shape(lambda: AutoencoderKL(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))


def tensors(cfg: AutoencoderKLConfig) -> dict[str, tuple[int, ...]]:
    """Return the tensors by their current names."""
    bound = (tensor for parameter in bind(TABLE, abstract(cfg)) for tensor in parameter.tensors)
    return {tensor.names[0]: tensor.shape for tensor in bound}


def write(folder: Path, values: dict[str, np.ndarray], cfg: AutoencoderKLConfig = TINY) -> Path:
    save_file(values, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(cfg.to_published()))
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_the_tree_of_an_official_config_is_the_published_one(name: str) -> None:
    assert tensors(CONFIGS[name]) == official_tree(name).tensors
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract(CONFIGS[name]))) == SIZES[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_official_config_json_is_read_and_written_back(name: str) -> None:
    cfg = CONFIGS[name]
    # The reference left the size of images out where it changes no tensor.
    said = official_tree(name).config
    assert AutoencoderKLConfig.from_published(said) == replace(cfg, sample_size=said["sample_size"])
    assert AutoencoderKLConfig.from_published({**said, "sample_size": cfg.sample_size}) == cfg
    assert AutoencoderKLConfig.from_published(cfg.to_published()) == cfg
    assert cfg.strides == Strides(1, 8, 8)


def test_a_config_json_that_leaves_all_out_has_the_published_defaults() -> None:
    assert AutoencoderKLConfig.from_published({"_class_name": "AutoencoderKL"}) == AutoencoderKLConfig()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("act_fn", "gelu"),
        ("in_channels", 4),
        ("latents_mean", [0.0] * 4),
        ("mid_block_add_attention", False),
        ("down_block_types", ["DownEncoderBlock2D"] * 3),
        ("down_block_types", None),
        ("up_block_types", ["UpDecoderBlock2D"] * 3 + ["AttnUpDecoderBlock2D"]),
        ("block_out_channels", [128, 256, 500, 512]),
        ("block_out_channels", []),
        ("scaling_factor", 0.0),
        ("scaling_factor", None),
        ("shift_factor", "0"),
        ("sample_size", [64, 64]),
        ("decoder_block_out_channels", [64]),
    ],
)
def test_a_setting_that_is_not_implemented_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(WeightsError, match=setting):
        AutoencoderKLConfig.from_published({**official_tree("sd-vae").config, setting: value})


def formerly(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the matrices of attention the names that they had."""

    def rename(name: str) -> str:
        for current, former in FORMER.items():
            name = name.replace(f"attentions.0.{current}.", f"attentions.0.{former}.")
        return name

    return {rename(name): value for name, value in values.items()}


def as_convolutions(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the matrices of attention a height and a width of 1."""
    matrices = {name for name, value in values.items() if "attentions.0." in name and value.ndim == 2}
    assert len(matrices) == 8
    return {name: value[:, :, None, None] if name in matrices else value for name, value in values.items()}


@pytest.mark.parametrize(
    "spell",
    [
        lambda values: values,
        formerly,
        as_convolutions,
        lambda values: formerly(as_convolutions(values)),
    ],
    ids=["as today", "former names", "as convolutions", "both"],
)
def test_the_matrices_of_attention_are_read_as_they_were_written(
    tmp_path: Path, spell: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
) -> None:
    values = redraw(tensors(TINY), seed=0)
    model = load(write(tmp_path, spell(values)))
    for side, network in (("encoder", model.encoder), ("decoder", model.decoder)):
        for name, current in zip(("to_q", "to_k", "to_v", "to_out"), FORMER, strict=True):
            matrix = getattr(network.mid_block.attention, name)
            published = f"{side}.mid_block.attentions.0.{current}"
            np.testing.assert_array_equal(matrix.kernel[...], values[f"{published}.weight"].T)
            np.testing.assert_array_equal(matrix.bias[...], values[f"{published}.bias"])


def test_weights_without_a_matrix_of_attention_are_refused(tmp_path: Path) -> None:
    values = formerly(redraw(tensors(TINY), seed=0))
    del values["encoder.mid_block.attentions.0.query.weight"]
    with pytest.raises(WeightsError, match=r"missing: encoder\.mid_block\.attentions\.0\.to_q\.weight"):
        load(write(tmp_path, values))


def test_convolutions_around_the_latents_are_refused_where_the_config_has_none(tmp_path: Path) -> None:
    cfg = replace(TINY, use_quant_conv=False, use_post_quant_conv=False)
    with pytest.raises(WeightsError, match=r"unknown to this model: post_quant_conv"):
        load(write(tmp_path, redraw(tensors(TINY), seed=0), cfg))


def test_tiles_too_small_to_overlap_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, redraw(tensors(TINY), seed=0), replace(TINY, sample_size=3))
    load(folder)
    with pytest.raises(WeightsError, match="3 pixels"):
        load(folder, tiling=True)
