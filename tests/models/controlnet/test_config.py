from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdctl.models.controlnet.config import OF_UNETS_ALONE, ControlNetConfig
from mdctl.models.unet.config import UNetConfig
from mdctl.spec.errors import WeightsError
from tests.models.official_trees import official_tree

CONFIGS = [ControlNetConfig.sd15(), ControlNetConfig.sd21(), ControlNetConfig.sdxl(), ControlNetConfig.tiny()]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=4), parts, max_size=2),
    max_leaves=5,
)


@pytest.mark.parametrize("cfg", CONFIGS)
def test_what_is_written_is_read(cfg: ControlNetConfig) -> None:
    assert ControlNetConfig.from_published(cfg.to_published()) == cfg


def test_what_a_config_leaves_out_is_the_published_default() -> None:
    assert ControlNetConfig.from_published({}) == ControlNetConfig(unet=UNetConfig())


def test_null_where_published_files_have_it_is_as_good_as_left_out() -> None:
    published = ControlNetConfig.sdxl().to_published()
    assert ControlNetConfig.from_published({**published, "upcast_attention": None}) == ControlNetConfig.sdxl()


@pytest.mark.parametrize("name", ["controlnet-sd15", "controlnet-sd21", "controlnet-sdxl"])
def test_the_settings_written_are_those_that_the_published_class_has(name: str) -> None:
    names = {key for key in ControlNetConfig.sd15().to_published() if not key.startswith("_")}
    assert names == official_tree(name).config.keys()
    assert not names & {*OF_UNETS_ALONE}


def test_the_control_net_of_a_unet_shares_what_is_common() -> None:
    inpainting = UNetConfig(sample_size=64, in_channels=9, out_channels=4, cross_attention_dim=768)
    cfg = ControlNetConfig.of(inpainting)
    assert (cfg.unet.in_channels, cfg.unet.cross_attention_dim) == (9, 768)
    assert ControlNetConfig.of(UNetConfig.sd15()) == ControlNetConfig.sd15()
    assert cfg.unet.sample_size == 0


def test_a_condition_is_of_eight_times_the_size() -> None:
    assert [cfg.stride for cfg in CONFIGS] == [8] * len(CONFIGS)
    assert ControlNetConfig.from_published({"conditioning_embedding_out_channels": [16, 32]}).stride == 2


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "_class_name: UNet2DConditionModel is .* only ControlNetModel is"),
        ({"act_fn": "gelu"}, r"\(ControlNetModel\) asks .*\n.*act_fn: 'gelu' is not implemented"),
        ({"block_out_channels": []}, "block_out_channels: there is no level"),
        ({"class_embed_type": "projection"}, "class_embed_type: 'projection' is not implemented"),
        ({"conditioning_channels": "3"}, "conditioning_channels: '3' is not like 3"),
        ({"conditioning_embedding_out_channels": None}, "conditioning_embedding_out_channels: None is not like"),
        ({"conditioning_embedding_out_channels": []}, "conditioning_embedding_out_channels: there is no layer"),
        ({"controlnet_conditioning_channel_order": "bgr"}, "controlnet_conditioning_channel_order: 'bgr' is not impl"),
        ({"down_block_types": ["DownBlock2D", {}, "DownBlock2D"]}, "down_block_types: .* only DownBlock2D"),
        ({"encoder_hid_dim": 4096}, "encoder_hid_dim: 4096 is not implemented"),
        ({"global_pool_conditions": True}, "global_pool_conditions: True is not implemented, only False"),
        ({"mid_block_type": "UNetMidBlock2D"}, "mid_block_type: 'UNetMidBlock2D' is not implemented"),
        ({"sample_size": 64}, "sample_size: 64 is a setting of UNets"),
        ({"unet": {}}, "unet: {} is not implemented"),
        ({"up_block_types": ["UpBlock2D"]}, r"up_block_types: \['UpBlock2D'\] is a setting of UNets"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        ControlNetConfig.from_published(ControlNetConfig.sdxl().to_published() | setting)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_setting_gives_a_config_or_an_error_that_names_it(data: st.DataObject) -> None:
    published = ControlNetConfig.sdxl().to_published()
    name = data.draw(st.sampled_from(sorted(published)) | st.text(min_size=1))
    error = ""
    try:
        read = ControlNetConfig.from_published({**published, name: data.draw(VALUES)})
    except WeightsError as refusal:
        error = str(refusal)
    assert name in error if error else type(read) is ControlNetConfig
