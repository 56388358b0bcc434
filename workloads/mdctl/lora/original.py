"""How the code that Stable Diffusion was first published with names the modules of its UNet.

Files trained with that code's names speak of `input_blocks_4_1` where diffusers has `down_blocks.1.attentions.0`. There
every layer of the way down, and of the way up, is a block by itself and they are counted through; a block holds its
residual layer, then its transformer, then its change of size.
"""

import re
from collections.abc import Collection, Mapping

WHOLE = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}

IN_RESNETS = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def original_names(published: Collection[str]) -> Mapping[str, str]:
    """Return the original name of each module of a UNet -> the name it is published by; nothing for other networks."""
    layers = [int(found[1]) for name in published if (found := re.match(r"down_blocks\.0\.resnets\.(\d+)\.", name))]
    if not layers:
        return {}
    per_level = max(layers) + 2  # on the way up, or on the way down with the change of size
    return {_spell(name, per_level, published): name for name in published}


def _spell(name: str, per_level: int, published: Collection[str]) -> str:
    resnet = re.fullmatch(r"(.*resnets\.\d+)\.(\w+)", name)
    place, rest = resnet.groups() if resnet else (name, "")
    if resnet:
        rest = f".{IN_RESNETS.get(rest, rest)}"
    for whole, original in WHOLE.items():
        if place == whole or place.startswith(f"{whole}."):
            return original + place.removeprefix(whole) + rest
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)", place)
    if not found:
        return name
    way, level, kind, layer = found[1], int(found[2]), found[3], int(found[4])
    rest = place[found.end() :] + rest
    if kind == "downsamplers":
        return f"input_blocks.{(level + 1) * per_level}.0.op"
    if kind == "upsamplers":
        attends = any(other.startswith(f"up_blocks.{level}.attentions.") for other in published)
        return f"output_blocks.{(level + 1) * per_level - 1}.{2 if attends else 1}{rest}"
    block = (
        f"input_blocks.{1 + level * per_level + layer}"
        if way == "down"
        else (f"output_blocks.{level * per_level + layer}")
    )
    return f"{block}.{int(kind == 'attentions')}{rest}"
