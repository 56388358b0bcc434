from typing import Any

import jax
import pytest
from flax import nnx

from mdctl.models.wan_vae import WanVAE, WanVAEConfig
from mdctl.models.wan_vae.weights import TABLE
from mdctl.models.weights import published_shapes
from mdctl.parallel.execution import Execution
from mdctl.spec.errors import WeightsError
from tests.models.official_trees import official_tree

OFFICIAL = official_tree("wan2.1-vae")


def abstract(cfg: WanVAEConfig) -> Any:
    return nnx.state(nnx.eval_shape(lambda: WanVAE(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))


def test_the_tree_of_the_official_config_is_the_published_one() -> None:
    assert published_shapes(TABLE, abstract(WanVAEConfig.wan21())) == OFFICIAL.tensors
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract(WanVAEConfig.wan21()))) == 126_892_531


def test_the_official_config_json_is_read_and_written_back() -> None:
    cfg = WanVAEConfig.from_published(OFFICIAL.config)
    assert cfg == WanVAEConfig.wan21()
    assert WanVAEConfig.from_published(cfg.to_published()) == cfg


def test_a_config_json_that_leaves_all_out_has_the_published_defaults() -> None:
    assert WanVAEConfig.from_published({"_class_name": "AutoencoderKLWan"}) == WanVAEConfig.wan21()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("is_residual", True),
        ("patch_size", 2),
        ("attn_scales", [0.5]),
        ("decoder_base_dim", 256),
        ("in_channels", 12),
        ("clip_output", False),
        ("base_dim", -96),
        ("base_dim", "96"),
        ("dim_mult", [1, 2, 4]),
        ("latents_mean", [0.0]),
        ("latents_std", [0.0] * 16),
        ("latents_std", None),
    ],
)
def test_a_setting_that_is_not_implemented_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(WeightsError, match=setting):
        WanVAEConfig.from_published({**OFFICIAL.config, setting: value})


def test_all_such_settings_are_named_at_once() -> None:
    with pytest.raises(WeightsError, match=r"(?s)is_residual.*patch_size"):
        WanVAEConfig.from_published({**OFFICIAL.config, "is_residual": True, "patch_size": 2})
