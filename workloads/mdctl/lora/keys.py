"""The keys of a LoRA file, in the spellings of three libraries and their older versions.

    lora_unet_down_blocks_0_attentions_0_..._to_q.lora_down.weight     kohya's scripts; dots and underscores alike
    unet.down_blocks.0.attentions.0....to_q.lora_A.weight              diffusers
    unet.down_blocks.0....attn1.processor.to_q_lora.down.weight        diffusers, of old
    base_model.model.down_blocks.0.attentions.0....to_q.lora_A.weight  PEFT

A key is the name of a module between the two ends that say the spelling. Which module that is, is looked up among those
of the network, each spelled the same way; nothing is taken apart by guessing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mdctl.lora.files import PEFT_PREFIX
from mdctl.lora.modules import Modules
from mdctl.lora.original import original_names

DOWN, UP, ALPHA = "down", "up", "alpha"

PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2")

KOHYA: Mapping[str, tuple[str, ...]] = {
    "lora_unet_": ("unet", "transformer"),
    "lora_te_": ("text_encoder",),
    "lora_te1_": ("text_encoder",),
    "lora_te2_": ("text_encoder_2",),
}
"""How keys begin -> the part they are of."""

ENDS = {"lora_A": DOWN, "lora_B": UP, "down": DOWN, "up": UP, "lora_down": DOWN, "lora_up": UP}
KEY = re.compile(
    r"(?P<stem>.+?)(?:(?P<old>_lora)\.(?P<a>down|up)|\.lora(?:_linear_layer)?\.(?P<b>down|up)"
    r"|\.(?P<c>lora_down|lora_up)|\.(?P<d>lora_A|lora_B)(?:\.default)?)\.weight"
)

# What the attention processors of old called its projections -> what those of networks are called.
OF_OLD = {"to_q": ("q_proj",), "to_k": ("k_proj",), "to_v": ("v_proj",), "to_out": ("to_out.0", "out_proj")}

FOREIGN: Mapping[str, str] = {
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "lora_mid": "LoCon in Tucker form",
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "oft_": "OFT",
    "lora_embedding_": "LoRA of embeddings",
    "lora_B.bias": "LoRA with biases",
    "lora_up.bias": "LoRA with biases",
    "modules_to_save": "whole modules beside the adapter",
}
"""What a key may hold -> the kind of adapter which that is, none of which is implemented."""


class Key(NamedTuple):
    """What a key says: of which module, in the file's spelling, and whether down, up or alpha. `old` is of old."""

    stem: str
    side: str
    old: bool = False


def parse(key: str) -> Key | None:
    """Take off the end of a key; None if it has none that is known."""
    if found := KEY.fullmatch(key):
        end = next(found[group] for group in "abcd" if found[group])
        return Key(found["stem"], ENDS[end], found["old"] is not None)
    if key.endswith(".alpha"):
        return Key(re.sub(r"_lora$|\.lora$", "", key.removesuffix(".alpha")), ALPHA, True)
    return None


def foreign_kinds(keys: Iterable[str]) -> list[str]:
    """Return the kinds of adapter, none of them LoRA, that some keys belong to."""
    return sorted({kind for key in keys for mark, kind in FOREIGN.items() if mark in key})


def split_part(stem: str) -> tuple[tuple[str, ...], str, bool]:
    """Return the parts that a stem may be of, none if it does not say, the name, and whether that is kohya's way."""
    for beginning, parts in KOHYA.items():
        if stem.startswith(beginning):
            return parts, stem.removeprefix(beginning), True
    stem = stem.removeprefix(PEFT_PREFIX)
    part = stem.partition(".")[0]
    return ((part,), stem.removeprefix(f"{part}."), False) if part in PARTS else ((), stem, False)


class Speller:
    """Find the modules of one part by what files call them."""

    def __init__(self, modules: Modules):
        self.modules = modules
        original = original_names(modules)
        self.kohya: dict[str, set[str]] = {}
        for spelling, name in (*zip(modules, modules, strict=True), *original.items()):
            self.kohya.setdefault(spelling.replace(".", "_"), set()).add(modules[name].name)

    def find(self, name: str, *, old: bool, kohya: bool) -> str | None:
        """Return the published name of a module; None if there is none, or if two are spelled alike."""
        if kohya:
            found = self.kohya.get(name, set())
            return next(iter(found)) if len(found) == 1 else None
        name = name.replace(".processor.", ".")
        return next((self.modules[other].name for other in self._others(name, old) if other in self.modules), None)

    def _others(self, name: str, old: bool) -> Iterator[str]:
        yield name
        before, dot, last = name.rpartition(".")
        if old:
            yield from (f"{before}{dot}{other}" for other in OF_OLD.get(last, ()))
