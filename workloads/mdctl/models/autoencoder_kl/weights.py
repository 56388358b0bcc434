"""From the published tensors of an image VAE to our parameters, which keep their names where they can.

The matrices of attention had other names before 2023, and some files store them as convolutions of one position; all of
that is read. What is written is what diffusers writes.
"""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from mdctl.models import weights
from mdctl.models.autoencoder_kl.config import AutoencoderKLConfig
from mdctl.models.autoencoder_kl.modeling import AutoencoderKL
from mdctl.models.weights import CONV_2D, LINEAR, Rule, Table
from mdctl.parallel.execution import Execution
from mdctl.spec.errors import WeightsError
from mdctl.storage.tensors import open_tensors

POINTWISE = "o i 1 1 -> i o"

RESNETS = ("encoder.down_blocks.{n}.resnets.{m}", "{side}.mid_block.resnets.{n}", "decoder.up_blocks.{n}.resnets.{m}")

# Ours -> the names that files have, the current one first.
MATRICES = {
    "to_q": ("to_q", "query"),
    "to_k": ("to_k", "key"),
    "to_v": ("to_v", "value"),
    "to_out": ("to_out.0", "proj_attn"),
}


def _convolution(published: str, parameter: str, dims: str) -> Table:
    return (Rule(f"{published}.weight", f"{parameter}.kernel", dims), Rule(f"{published}.bias", f"{parameter}.bias"))


def _norm(published: str, parameter: str) -> Table:
    return (Rule(f"{published}.weight", f"{parameter}.scale"), Rule(f"{published}.bias", f"{parameter}.bias"))


def _resnet(name: str) -> Table:
    return (
        *_convolution(f"{name}.conv_shortcut", f"{name}.conv_shortcut", POINTWISE),
        *_norm(f"{name}.{{part}}", f"{name}.{{part}}"),
        *_convolution(f"{name}.{{part}}", f"{name}.{{part}}", CONV_2D),
    )


def _matrices(side: str, suffix: str, leaf: str, dims: str = "") -> Table:
    """Return a rule for one leaf of each matrix of attention."""
    return tuple(
        Rule(
            tuple(f"{side}.mid_block.attentions.0.{name}.{suffix}" for name in names),
            f"{side}.mid_block.attention.{matrix}.{leaf}",
            dims,
        )
        for matrix, names in MATRICES.items()
    )


TABLE: Table = (
    *_convolution("{side}.conv_in", "{side}.conv_in", CONV_2D),
    *(rule for name in RESNETS for rule in _resnet(name)),
    *_convolution("encoder.down_blocks.{n}.downsamplers.0.conv", "encoder.down_blocks.{n}.downsampler", CONV_2D),
    *_norm("{side}.mid_block.attentions.0.group_norm", "{side}.mid_block.attention.group_norm"),
    *_matrices("{side}", "weight", "kernel", LINEAR),
    *_matrices("{side}", "bias", "bias"),
    *_convolution("decoder.up_blocks.{n}.upsamplers.0.conv", "decoder.up_blocks.{n}.upsampler", CONV_2D),
    *_norm("{side}.conv_norm_out", "{side}.conv_norm_out"),
    *_convolution("{side}.conv_out", "{side}.conv_out", CONV_2D),
    *_convolution("quant_conv", "quant_conv", POINTWISE),
    *_convolution("post_quant_conv", "post_quant_conv", POINTWISE),
)


def load(folder: Path, dtype: DTypeLike = jnp.float32, *, tiling: bool = False) -> AutoencoderKL:
    """Read a published VAE; parameters are float32, activations `dtype`. With `tiling`, large images are cut in tiles.

    Raises WeightsError if it is another model, or its tiles would be too small to overlap.
    """
    cfg = AutoencoderKLConfig.from_published(weights.read_config(folder))
    if tiling and cfg.sample_size < 2 * cfg.strides.height:
        raise WeightsError(
            f"{folder}: tiles of {cfg.sample_size} pixels (sample_size) have no two latents of {cfg.strides.height}. "
            "Do without tiling."
        )
    execution = Execution(dtype=dtype)
    model = nnx.eval_shape(lambda: AutoencoderKL(cfg, tiling=tiling, execution=execution, rngs=nnx.Rngs(0)))
    graphdef, params = nnx.split(model)
    return nnx.merge(graphdef, weights.load((*_stored_as_convolutions(folder), *TABLE), folder, params))


def _stored_as_convolutions(folder: Path) -> Table:
    """Return rules for those matrices that a folder stores with a height and a width of 1; they go before the table."""
    ranks = {name: len(tensor.get_shape()) for name, tensor in open_tensors(folder).items()}
    rules = (rule for side in ("encoder", "decoder") for rule in _matrices(side, "weight", "kernel", POINTWISE))
    return tuple(rule for rule in rules if any(ranks.get(name) == 4 for name in rule.published))
