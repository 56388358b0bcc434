"""The published weights of the UNet: tensor by tensor, what they are here.

Stable Diffusion 1.x projects to tokens and back by convolutions of one position, 2.x and XL by linear layers: the same
product, of tensors of different rank. Hence a table for each.
"""

from mdctl.models.unet.config import UNetConfig
from mdctl.models.weights import CONV_2D, LINEAR, Rule, Table

POINTWISE = "o i 1 1 -> i o"

LEVELS = ("down_blocks.{n}", "mid_block", "up_blocks.{n}")


def weight_table(cfg: UNetConfig) -> Table:
    """Return the table of a configuration."""
    projection = LINEAR if cfg.use_linear_projection else POINTWISE
    return (
        *(rule for level in LEVELS for rule in _resnet(f"{level}.resnets.{{m}}")),
        *(rule for level in LEVELS for rule in _transformer(f"{level}.attentions.{{m}}", projection)),
        *_layer("down_blocks.{n}.downsamplers.0.conv", "down_blocks.{n}.downsampler.conv", CONV_2D),
        *_layer("up_blocks.{n}.upsamplers.0.conv", "up_blocks.{n}.upsampler.conv", CONV_2D),
        *_layer("time_embedding.{linear}", "time_embedding.{linear}", LINEAR),
        *_layer("add_embedding.{linear}", "add_embedding.{linear}", LINEAR),
        *_norm("conv_norm_out", "conv_norm_out"),
        *_layer("{conv}", "{conv}", CONV_2D),
    )


def _layer(published: str, parameter: str, dims: str) -> Table:
    return (Rule(f"{published}.weight", f"{parameter}.kernel", dims), Rule(f"{published}.bias", f"{parameter}.bias"))


def _norm(published: str, parameter: str) -> Table:
    return (Rule(f"{published}.weight", f"{parameter}.scale"), Rule(f"{published}.bias", f"{parameter}.bias"))


def _resnet(name: str) -> Table:
    return (
        *_norm(f"{name}.norm1", f"{name}.norm1"),
        *_norm(f"{name}.norm2", f"{name}.norm2"),
        *_layer(f"{name}.time_emb_proj", f"{name}.time_emb_proj", LINEAR),
        *_layer(f"{name}.conv_shortcut", f"{name}.conv_shortcut", POINTWISE),
        *_layer(f"{name}.{{conv}}", f"{name}.{{conv}}", CONV_2D),
    )


def _transformer(name: str, projection: str) -> Table:
    published, parameter = f"{name}.transformer_blocks.{{i}}", f"{name}.transformer_blocks"
    return (
        *_norm(f"{name}.norm", f"{name}.norm"),
        *_layer(f"{name}.proj_in", f"{name}.proj_in", projection),
        *_layer(f"{name}.proj_out", f"{name}.proj_out", projection),
        *_layer(f"{published}.{{attn}}.to_out.0", f"{parameter}.{{attn}}.to_out", LINEAR),
        *_layer(f"{published}.ff.net.0.proj", f"{parameter}.ff.proj_in", LINEAR),
        *_layer(f"{published}.ff.net.2", f"{parameter}.ff.proj_out", LINEAR),
        Rule(f"{published}.{{attn}}.{{to}}.weight", f"{parameter}.{{attn}}.{{to}}.kernel", LINEAR),
        *_norm(f"{published}.{{norm}}", f"{parameter}.{{norm}}"),
    )
