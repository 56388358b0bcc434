"""Names, shapes and configs of the official models at full size, as the reference builds them."""

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple


class OfficialTree(NamedTuple):
    """One model: its config.json and the shape of each tensor by name."""

    config: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]


def official_tree(name: str) -> OfficialTree:
    """Return one by its name: of Wan 2.1 `wan2.1-t2v-14b`, `wan2.1-t2v-1.3b`, `wan2.1-vae` and `umt5-xxl`; the text
    encoders `clip-l`, `openclip-h` and `openclip-bigg`; the image codecs `sd-vae`, `sdxl-vae` and `flux-vae`; the
    ControlNets `controlnet-sd15`, `controlnet-sd21` and `controlnet-sdxl`.
    """
    trees = json.loads(gzip.decompress(Path(__file__).with_name("official_trees.json.gz").read_bytes()))
    tree = trees[name]
    return OfficialTree(tree["config"], {tensor: tuple(shape) for tensor, shape in tree["tensors"].items()})
