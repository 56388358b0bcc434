"""A fitted codec on disk: the folder of a published codec, with names of our own."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from mdctl.models import weights
from mdctl.models.block_pca.config import BlockPCAConfig
from mdctl.models.block_pca.modeling import BlockPCA
from mdctl.models.weights import Rule, Table

TABLE: Table = (
    Rule("{kind}.mean", "{kind}.mean"),
    Rule("{kind}.directions", "{kind}.directions"),
    Rule("scale", "scale"),
)


def load(folder: Path, dtype: DTypeLike = jnp.float32) -> BlockPCA:
    """Read a fitted codec; it is float32 whatever `dtype` is. Raises WeightsError if the folder holds another one."""
    cfg = BlockPCAConfig.from_published(weights.read_config(folder))
    graphdef, params = nnx.split(nnx.eval_shape(lambda: BlockPCA(cfg)))
    return nnx.merge(graphdef, weights.load(TABLE, folder, params))


def save(model: BlockPCA, folder: Path) -> None:
    """Write a fitted codec. Raises OutputError if the folder cannot be written."""
    weights.save(TABLE, nnx.state(model), folder, config=model.cfg.to_published())
