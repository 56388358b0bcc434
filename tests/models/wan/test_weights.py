from typing import Any

import jax
import pytest
from flax import nnx

from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.weights import TABLE
from mdctl.models.weights import published_shapes
from mdctl.parallel.execution import Execution
from tests.models.official_trees import official_tree

OFFICIAL = {"wan2.1-t2v-14b": WanConfig.t2v_14b(), "wan2.1-t2v-1.3b": WanConfig.t2v_1_3b()}


def abstract(cfg: WanConfig) -> Any:
    model = nnx.eval_shape(lambda: WanTransformer(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0)))
    return nnx.state(model)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_tree_of_an_official_config_is_the_published_one(name: str) -> None:
    assert published_shapes(TABLE, abstract(OFFICIAL[name])) == official_tree(name).tensors


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_config_json_is_read_and_written_back(name: str) -> None:
    published = official_tree(name).config
    cfg = WanConfig.from_published(published)
    assert cfg == OFFICIAL[name]
    assert {key: value for key, value in cfg.to_published().items() if key != "_class_name"} == published


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_model_has_as_many_parameters_as_it_says(name: str) -> None:
    sizes = {"wan2.1-t2v-14b": 14_288_491_584, "wan2.1-t2v-1.3b": 1_418_996_800}
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract(OFFICIAL[name]))) == sizes[name]
