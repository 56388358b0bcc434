from typing import Any

import pytest

from mdctl.models.wan.config import WanConfig
from mdctl.spec.errors import WeightsError


@pytest.mark.parametrize("cfg", [WanConfig.t2v_14b(), WanConfig.t2v_1_3b(), WanConfig.tiny()])
def test_what_is_written_is_read(cfg: WanConfig) -> None:
    assert WanConfig.from_published(cfg.to_published()) == cfg


def test_what_a_config_leaves_out_is_the_published_default() -> None:
    assert WanConfig.from_published({}) == WanConfig.t2v_14b()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"_class_name": "FluxTransformer2DModel"}, "FluxTransformer2DModel"),
        ({"image_dim": 1280}, "image_dim: 1280 is not implemented"),
        ({"added_kv_proj_dim": 5120}, "added_kv_proj_dim: 5120 is not implemented"),
        ({"pos_embed_seq_len": 514}, "pos_embed_seq_len: 514 is not implemented"),
        ({"qk_norm": "rms_norm"}, "qk_norm: 'rms_norm' is not implemented"),
        ({"cross_attn_norm": False}, "cross_attn_norm: False is not implemented"),
        ({"vace_layers": [0, 5]}, r"vace_layers: \[0, 5\] is not implemented"),
        ({"num_layers": 0}, "num_layers: 0 is not like 40"),
        ({"num_layers": "40"}, "num_layers: '40' is not like 40"),
        ({"eps": None}, "eps: None is not like 1e-06"),
        ({"patch_size": [2, 2]}, r"patch_size: \(2, 2\)"),
        ({"attention_head_dim": 127}, "attention_head_dim: 127 is odd"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        WanConfig.from_published(WanConfig.tiny().to_published() | setting)


def test_all_that_is_not_implemented_is_said_at_once() -> None:
    with pytest.raises(WeightsError, match=r"(?s)image_dim.*pos_embed_seq_len"):
        WanConfig.from_published({"image_dim": 1280, "pos_embed_seq_len": 514})
