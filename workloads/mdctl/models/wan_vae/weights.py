"""From the published tensors of the Wan 2.1 VAE to our parameters, which keep their names where they can."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from mdctl.models import weights
from mdctl.models.wan_vae.config import WanVAEConfig
from mdctl.models.wan_vae.modeling import WanVAE
from mdctl.models.weights import CONV_2D, CONV_3D, Rule, Table
from mdctl.parallel.execution import Execution

POINTWISE_2D = "o i 1 1 -> i o"
POINTWISE_3D = "o i 1 1 1 -> i o"

RESNETS = ("encoder.down_blocks.{n}", "{side}.mid_block.resnets.{n}", "decoder.up_blocks.{n}.resnets.{m}")


def _convolution(published: str, parameter: str, dims: str) -> Table:
    return (Rule(f"{published}.weight", f"{parameter}.kernel", dims), Rule(f"{published}.bias", f"{parameter}.bias"))


def _resnet(name: str) -> Table:
    return (
        Rule(f"{name}.{{norm}}.gamma", f"{name}.{{norm}}.gamma", "c 1 1 1 -> c"),
        *_convolution(f"{name}.conv_shortcut", f"{name}.conv_shortcut", POINTWISE_3D),
        *_convolution(f"{name}.conv1", f"{name}.conv1", CONV_3D),
        *_convolution(f"{name}.conv2", f"{name}.conv2", CONV_3D),
    )


def _resample(published: str, parameter: str) -> Table:
    return (
        *_convolution(f"{published}.resample.1", f"{parameter}.resample", CONV_2D),
        *_convolution(f"{published}.time_conv", f"{parameter}.time_conv", CONV_3D),
    )


def _attention(published: str, parameter: str) -> Table:
    return (
        Rule(f"{published}.norm.gamma", f"{parameter}.norm.gamma", "c 1 1 -> c"),
        *_convolution(f"{published}.to_qkv", f"{parameter}.to_qkv", POINTWISE_2D),
        *_convolution(f"{published}.proj", f"{parameter}.proj", POINTWISE_2D),
    )


TABLE: Table = (
    *_convolution("{side}.conv_in", "{side}.conv_in", CONV_3D),
    *(rule for name in RESNETS for rule in _resnet(name)),
    *_resample("encoder.down_blocks.{n}", "encoder.down_blocks.{n}"),
    *_attention("{side}.mid_block.attentions.0", "{side}.mid_block.attention"),
    *_resample("decoder.up_blocks.{n}.upsamplers.0", "decoder.up_blocks.{n}.upsampler"),
    Rule("{side}.norm_out.gamma", "{side}.norm_out.gamma", "c 1 1 1 -> c"),
    *_convolution("{side}.conv_out", "{side}.conv_out", CONV_3D),
    *_convolution("quant_conv", "quant_conv", POINTWISE_3D),
    *_convolution("post_quant_conv", "post_quant_conv", POINTWISE_3D),
)


def load(folder: Path, dtype: DTypeLike = jnp.float32) -> WanVAE:
    """Read a published VAE; parameters are float32, activations `dtype`. Raises WeightsError if it is another model."""
    cfg = WanVAEConfig.from_published(weights.read_config(folder))
    model = nnx.eval_shape(lambda: WanVAE(cfg, execution=Execution(dtype=dtype), rngs=nnx.Rngs(0)))
    graphdef, params = nnx.split(model)
    return nnx.merge(graphdef, weights.load(TABLE, folder, params))
