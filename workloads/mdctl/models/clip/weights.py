"""From the published tensors of a CLIP text encoder to our parameters, its layers stacked.

Most files begin every name with `text_model.`; current transformers leaves that out where there is no projection, and
so do files made from it. Either is read, the first is written.
"""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from mdctl.models import weights
from mdctl.models.clip.config import CLIPTextConfig
from mdctl.models.clip.modeling import CLIPTextEncoder
from mdctl.models.weights import LINEAR, Rule, Table
from mdctl.parallel.execution import Execution

PREFIX = "text_model."

IGNORED = (f"{PREFIX}embeddings.position_ids", "embeddings.position_ids")
"""The numbers 0 to 76, which older versions of transformers stored."""


def _rule(published: str, parameter: str, dims: str = "") -> Rule:
    return Rule((PREFIX + published, published), parameter, dims)


TABLE: Table = (
    _rule("embeddings.{name}.weight", "{name}.embedding"),
    _rule("encoder.layers.{i}.{norm}.weight", "layers.{norm}.scale"),
    _rule("encoder.layers.{i}.{norm}.bias", "layers.{norm}.bias"),
    _rule("encoder.layers.{i}.{part}.{name}.weight", "layers.{part}.{name}.kernel", LINEAR),
    _rule("encoder.layers.{i}.{part}.{name}.bias", "layers.{part}.{name}.bias"),
    _rule("final_layer_norm.weight", "final_layer_norm.scale"),
    _rule("final_layer_norm.bias", "final_layer_norm.bias"),
    Rule("text_projection.weight", "text_projection.kernel", LINEAR),
)


def load(folder: Path, dtype: DTypeLike = jnp.float32) -> CLIPTextEncoder:
    """Read a published encoder; parameters and activations are `dtype`. Raises WeightsError if it is another model."""
    cfg = CLIPTextConfig.from_published(weights.read_config(folder))
    execution = Execution(dtype=dtype, param_dtype=dtype)
    graphdef, params = nnx.split(nnx.eval_shape(lambda: CLIPTextEncoder(cfg, execution=execution, rngs=nnx.Rngs(0))))
    return nnx.merge(graphdef, weights.load(TABLE, folder, params, ignored=IGNORED))
