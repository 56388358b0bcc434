"""From the published tensors of a UMT5 encoder to our parameters, its layers stacked."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from mdctl.models import weights
from mdctl.models.umt5.config import UMT5Config
from mdctl.models.umt5.modeling import UMT5Encoder
from mdctl.models.weights import LINEAR, Rule, Table
from mdctl.parallel.execution import Execution

LAYER = "encoder.block.{i}.layer"

TABLE: Table = (
    Rule(("shared.weight", "encoder.embed_tokens.weight"), "shared.embedding"),
    Rule(f"{LAYER}.0.layer_norm.weight", "block.attention_norm.scale"),
    Rule(f"{LAYER}.0.SelfAttention.{{name}}.weight", "block.attention.{name}.kernel", LINEAR),
    Rule(f"{LAYER}.0.SelfAttention.{{name}}.weight", "block.attention.{name}.embedding"),
    Rule(f"{LAYER}.1.layer_norm.weight", "block.feed_forward_norm.scale"),
    Rule(f"{LAYER}.1.DenseReluDense.{{name}}.weight", "block.feed_forward.{name}.kernel", LINEAR),
    Rule("encoder.final_layer_norm.weight", "final_layer_norm.scale"),
)


def load(folder: Path, dtype: DTypeLike = jnp.float32) -> UMT5Encoder:
    """Read a published encoder; parameters and activations are `dtype`. Raises WeightsError if it is another model."""
    cfg = UMT5Config.from_published(weights.read_config(folder))
    execution = Execution(dtype=dtype, param_dtype=dtype)
    graphdef, params = nnx.split(nnx.eval_shape(lambda: UMT5Encoder(cfg, execution=execution, rngs=nnx.Rngs(0))))
    return nnx.merge(graphdef, weights.load(TABLE, folder, params))
