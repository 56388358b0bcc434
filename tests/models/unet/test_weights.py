import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import jax
import pytest
from flax import nnx

from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import UNet
from mdctl.models.unet.weights import weight_table
from mdctl.models.weights import published_shapes
from mdctl.parallel.execution import Execution

# Names, shapes and configs of the official models at full size, as the reference builds them.
TREES = json.loads(gzip.decompress(Path(__file__).with_name("official_trees.json.gz").read_bytes()))
OFFICIAL = {"sd1.5": UNetConfig.sd15(), "sd2.1": UNetConfig.sd21(), "sdxl": UNetConfig.sdxl()}


def abstract(cfg: UNetConfig) -> Any:
    model = nnx.eval_shape(lambda: UNet(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0)))
    return nnx.state(model)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_tree_of_an_official_config_is_the_published_one(name: str) -> None:
    params, cfg = abstract(OFFICIAL[name]), OFFICIAL[name]
    published = {tensor: tuple(shape) for tensor, shape in TREES[name]["tensors"].items()}
    assert published_shapes(weight_table(cfg), params) == published
    sizes = {"sd1.5": 859_520_964, "sd2.1": 865_910_724, "sdxl": 2_567_463_684}
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == sizes[name]


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_config_json_is_read_and_written_back(name: str) -> None:
    published = TREES[name]["config"]
    cfg = UNetConfig.from_published(published)
    side = published["sample_size"] or 0  # which the reference leaves out of the first
    assert cfg == dataclasses.replace(OFFICIAL[name], sample_size=side)
    assert {key: value for key, value in cfg.to_published().items() if key != "_class_name"} == published


def test_the_base_of_the_second_has_the_tree_of_what_followed() -> None:
    cfg = UNetConfig.sd2()
    published = {tensor: tuple(shape) for tensor, shape in TREES["sd2.1"]["tensors"].items()}
    assert published_shapes(weight_table(cfg), abstract(cfg)) == published
