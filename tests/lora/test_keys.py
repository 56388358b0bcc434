"""Every module is found by each of its spellings, and by no other's."""

from functools import cache
from typing import Any

import pytest
from flax import nnx

from mdctl.lora.keys import ALPHA, DOWN, UP, Key, Speller, foreign_kinds, parse, split_part
from mdctl.lora.modules import Modules, modules
from mdctl.lora.original import original_names
from mdctl.models.clip.config import CLIPTextConfig
from mdctl.models.clip.modeling import CLIPTextEncoder
from mdctl.models.clip.weights import TABLE as CLIP_TABLE
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import UNet
from mdctl.models.unet.weights import weight_table
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.weights import TABLE as WAN_TABLE
from mdctl.parallel.execution import Execution

OFFICIAL: dict[str, tuple[Any, Any, Any]] = {
    "sd1.5": (UNet, UNetConfig.sd15(), weight_table(UNetConfig.sd15())),
    "sdxl": (UNet, UNetConfig.sdxl(), weight_table(UNetConfig.sdxl())),
    "clip": (CLIPTextEncoder, CLIPTextConfig.openclip_bigg(), CLIP_TABLE),
    "wan": (WanTransformer, WanConfig.tiny(), WAN_TABLE),
}
COUNTS = {"sd1.5": 282, "sdxl": 794, "clip": 193, "wan": 47}
"""Linear layers and convolutions."""

BLOCK = "transformer_blocks"


@cache
def found(name: str) -> Modules:
    make, cfg, table = OFFICIAL[name]
    params = nnx.state(nnx.eval_shape(lambda: make(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    return modules(table, params)


@pytest.mark.parametrize("name", OFFICIAL)
def test_no_two_modules_are_spelled_alike(name: str) -> None:
    speller = Speller(found(name))
    for published, module in found(name).items():
        assert speller.find(published.replace(".", "_"), old=False, kohya=True) == module.name
        assert speller.find(published, old=False, kohya=False) == module.name
    assert len(set(found(name).values())) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "original", "published"),
    [
        ("sdxl", "input_blocks_4_1_proj_in", "down_blocks.1.attentions.0.proj_in"),
        ("sdxl", f"input_blocks_8_1_{BLOCK}_9_attn2_to_k", f"down_blocks.2.attentions.1.{BLOCK}.9.attn2.to_k"),
        ("sdxl", "input_blocks_6_0_op", "down_blocks.1.downsamplers.0.conv"),
        ("sdxl", f"middle_block_1_{BLOCK}_0_ff_net_0_proj", f"mid_block.attentions.0.{BLOCK}.0.ff.net.0.proj"),
        ("sdxl", "output_blocks_2_2_conv", "up_blocks.0.upsamplers.0.conv"),
        ("sdxl", "output_blocks_5_1_proj_out", "up_blocks.1.attentions.2.proj_out"),
        ("sdxl", "output_blocks_8_0_emb_layers_1", "up_blocks.2.resnets.2.time_emb_proj"),
        ("sdxl", "label_emb_0_2", "add_embedding.linear_2"),
        ("sd1.5", "input_blocks_11_0_in_layers_2", "down_blocks.3.resnets.1.conv1"),
        ("sd1.5", "output_blocks_2_1_conv", "up_blocks.0.upsamplers.0.conv"),
        ("sd1.5", "output_blocks_3_0_skip_connection", "up_blocks.1.resnets.0.conv_shortcut"),
        ("clip", "encoder_layers_31_mlp_fc1", "text_model.encoder.layers.31.mlp.fc1"),
    ],
)
def test_another_spelling_is_of_the_same_module(name: str, original: str, published: str) -> None:
    assert Speller(found(name)).find(original, old=False, kohya=True) == published


def test_only_a_unet_has_original_names() -> None:
    assert original_names(found("wan")) == {}
    assert len(original_names(found("sdxl"))) == COUNTS["sdxl"]


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        ("lora_unet_mid_block_proj_in.lora_down.weight", Key("lora_unet_mid_block_proj_in", DOWN)),
        ("lora_unet_mid_block_proj_in.lora_up.weight", Key("lora_unet_mid_block_proj_in", UP)),
        ("lora_te_a.alpha", Key("lora_te_a", ALPHA, True)),
        ("unet.a.to_q.lora_A.weight", Key("unet.a.to_q", DOWN)),
        ("unet.a.to_q.lora_B.default.weight", Key("unet.a.to_q", UP)),
        ("unet.a.to_q.lora.down.weight", Key("unet.a.to_q", DOWN)),
        ("unet.a.processor.to_out_lora.up.weight", Key("unet.a.processor.to_out", UP, True)),
        ("text_encoder.a.fc1.lora_linear_layer.up.weight", Key("text_encoder.a.fc1", UP)),
        ("unet.a.to_q.weight", None),
        ("unet.a.to_q.lora_A.bias", None),
    ],
)
def test_keys(key: str, parsed: Key | None) -> None:
    assert parse(key) == parsed


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("lora_unet_a_to_q", (("unet", "transformer"), "a_to_q", True)),
        ("lora_te2_a", (("text_encoder_2",), "a", True)),
        ("text_encoder_2.a.b", (("text_encoder_2",), "a.b", False)),
        ("base_model.model.a.b", ((), "a.b", False)),
        ("a.b", ((), "a.b", False)),
    ],
)
def test_parts(stem: str, split: tuple[tuple[str, ...], str, bool]) -> None:
    assert split_part(stem) == split


def test_names_of_old_are_found_where_a_key_is_of_old() -> None:
    speller = Speller(found("sd1.5"))
    attn = "mid_block.attentions.0.transformer_blocks.0.attn1"
    assert speller.find(f"{attn}.processor.to_out", old=True, kohya=False) == f"{attn}.to_out.0"
    assert speller.find(f"{attn}.to_out", old=False, kohya=False) is None
    encoder = "text_model.encoder.layers.0.self_attn"
    assert Speller(found("clip")).find(f"{encoder}.to_out", old=True, kohya=False) == f"{encoder}.out_proj"


def test_other_kinds_are_called_by_name() -> None:
    assert foreign_kinds(["a.hada_w1_a", "b.lokr_w1", "a.lora_down.weight", "c.dora_scale"]) == ["DoRA", "LoHa", "LoKr"]
