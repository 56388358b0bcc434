from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdctl.models.unet.config import UNetConfig
from mdctl.spec.errors import WeightsError

CONFIGS = [UNetConfig.sd15(), UNetConfig.sd2(), UNetConfig.sd21(), UNetConfig.sdxl(), UNetConfig.tiny(), UNetConfig()]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=4), parts, max_size=2),
    max_leaves=5,
)


@pytest.mark.parametrize("cfg", CONFIGS)
def test_what_is_written_is_read(cfg: UNetConfig) -> None:
    assert UNetConfig.from_published(cfg.to_published()) == cfg


def test_what_a_config_leaves_out_is_the_published_default() -> None:
    assert UNetConfig.from_published({}) == UNetConfig()


def test_one_number_is_for_all_levels() -> None:
    levels = {
        "block_out_channels": [32, 64],
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    }
    cfg = UNetConfig.from_published({**levels, "transformer_layers_per_block": 3})
    assert (cfg.num_heads, cfg.transformer_layers_per_block) == ((8, 8), (3, 3))
    assert (cfg.to_published()["attention_head_dim"], cfg.to_published()["transformer_layers_per_block"]) == (8, 3)


def test_null_where_published_files_have_it_is_as_good_as_left_out() -> None:
    published = UNetConfig.sdxl().to_published()
    assert UNetConfig.from_published({**published, "upcast_attention": None}) == UNetConfig.sdxl()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"_class_name": "UNet3DConditionModel"}, "_class_name: UNet3DConditionModel"),
        ({"act_fn": "gelu"}, "act_fn: 'gelu' is not implemented"),
        ({"addition_embed_type": "text"}, "addition_embed_type: 'text' is not implemented"),
        ({"addition_embed_type": None}, "addition_embed_type None does not go with addition_time_embed_dim 256"),
        ({"attention_head_dim": [5, 10]}, "attention_head_dim has 2 values for 3 levels"),
        ({"attention_head_dim": 7}, r"320 channels are not 7 heads \(attention_head_dim\)"),
        ({"attention_type": "gated"}, "attention_type: 'gated' is not implemented"),
        ({"block_out_channels": []}, "block_out_channels: there is no level"),
        ({"block_out_channels": [320, 640, 1000]}, r"1000 channels are not 32 groups \(norm_num_groups\)"),
        ({"class_embed_type": "projection"}, "class_embed_type: 'projection' is not implemented"),
        ({"cross_attention_dim": [2048, 1024, 1024]}, "cross_attention_dim: .* is not like 1280"),
        (
            {"down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"]},
            "down_block_types: .* only DownBlock2D",
        ),
        ({"dropout": 0.1}, "dropout: 0.1 is not implemented"),
        ({"encoder_hid_dim": 4096}, "encoder_hid_dim: 4096 is not implemented"),
        ({"flip_sin_to_cos": False}, "flip_sin_to_cos: False is not implemented"),
        ({"freq_shift": 1}, "freq_shift: 1 is not implemented"),
        ({"layers_per_block": [2, 2, 2]}, "layers_per_block: .* is not like 2"),
        ({"mid_block_type": None}, "mid_block_type: None is not implemented"),
        ({"num_class_embeds": 1000}, "num_class_embeds: 1000 is not implemented"),
        ({"only_cross_attention": True}, "only_cross_attention: True is not implemented"),
        ({"projection_class_embeddings_input_dim": 1000}, "1000 is less than 6 times addition_time_embed_dim 256"),
        ({"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift: 'scale_shift' is not implemented"),
        ({"time_cond_proj_dim": 256}, "time_cond_proj_dim: 256 is not implemented"),
        ({"transformer_layers_per_block": [1, [2, 2], 10]}, "transformer_layers_per_block: .* is not like"),
        ({"up_block_types": ["UpBlock2D"] * 3}, "up_block_types: .* does not mirror down_block_types"),
        ({"use_linear_projection": 1}, "use_linear_projection: 1 is not like False"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        UNetConfig.from_published(UNetConfig.sdxl().to_published() | setting)


def test_all_that_is_not_implemented_is_said_at_once() -> None:
    with pytest.raises(WeightsError, match=r"(?s)class_embed_type.*dropout"):
        UNetConfig.from_published({"class_embed_type": "projection", "dropout": 0.1})


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_setting_gives_a_config_or_an_error_that_names_it(data: st.DataObject) -> None:
    published = UNetConfig.sdxl().to_published()
    name = data.draw(st.sampled_from(sorted(published)) | st.text(min_size=1))
    error = ""
    try:
        read = UNetConfig.from_published({**published, name: data.draw(VALUES)})
    except WeightsError as refusal:
        error = str(refusal)
    assert name in error if error else type(read) is UNetConfig
