"""The ControlNets of Stable Diffusion as values: what they say goes into the conditioning as residuals of the UNet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.models import weights
from mdctl.models.control import ControlNet
from mdctl.models.controlnet import modeling
from mdctl.models.controlnet.config import ControlNetConfig
from mdctl.models.controlnet.modeling import Residuals, combined, scaled
from mdctl.models.controlnet.sharding import LAYOUT
from mdctl.models.controlnet.weights import from_unet, weight_table
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import Added
from mdctl.parallel.execution import Execution
from mdctl.parallel.precision import full_precision
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.errors import WeightsError

RESIDUALS = "residuals"
"""The name in the conditioning of what ControlNets have said."""

CHANNELS = 3

SHARED = ("in_channels", "cross_attention_dim", "pooled_dim", "use_linear_projection", "layers_per_block")
"""What a ControlNet and its UNet must have in common, beside the channels of what is added."""


def open_control(model: CatalogueModel, unet: UNetConfig, execution: Execution, folder: Path | None) -> ControlNet:
    """Return the ControlNet in a folder, or without one a new one, beside a UNet.

    Raises WeightsError if it was made for another UNet, or for latents of another size.
    """
    stride = model.vae.height
    cfg = ControlNetConfig.of(unet, stride) if folder is None else read(folder, unet, stride)
    graphdef, abstract = nnx.split(nnx.eval_shape(lambda: _build(cfg, execution, nnx.Rngs(0))))

    @full_precision
    def tell(
        params: Params,
        x_BTHWC: Float32[Array, "B T H W C"],
        time_B: Float32[Array, " B"],
        conditioning: Conditioning,
        picture: Float32[Array, "B X Y 3"],
        scale: float,
    ) -> Conditioning:
        x_BHWC = rearrange(x_BTHWC, "b 1 h w c -> b h w c")
        network = nnx.merge(graphdef, params)
        said: Residuals = network(x_BHWC, time_B, conditioning["text"], picture, added(cfg.unet, conditioning))
        before = [conditioning[RESIDUALS]] if RESIDUALS in conditioning else []
        return {**conditioning, RESIDUALS: combined([*before, scaled(said, scale)])}

    def copy(unet_params: Params, key: jax.Array) -> Params:
        return from_unet(unet_params, nnx.state(_build(cfg, execution, nnx.Rngs(key))))

    return ControlNet(
        tell=tell,
        abstract=abstract,
        layout=LAYOUT,
        copy=copy,
        table=weight_table(cfg),
        config=cfg.to_published(),
        stride=stride,
    )


def _build(cfg: ControlNetConfig, execution: Execution, rngs: nnx.Rngs) -> modeling.ControlNet:
    return modeling.ControlNet(cfg, execution=execution, rngs=rngs)


def added(unet: UNetConfig, conditioning: Conditioning) -> Added | None:
    """Return what goes into the time's embedding, of a network that takes it."""
    return Added(conditioning["pooled"], conditioning["sizes"]) if unet.projection_class_embeddings_input_dim else None


def read(folder: Path, unet: UNetConfig, stride: int) -> ControlNetConfig:
    """Return the configuration in a folder."""
    cfg = ControlNetConfig.from_published(weights.read_config(folder))
    expected = ControlNetConfig.of(unet, stride)
    theirs, ours = _facts(cfg), _facts(expected)
    if wrong := [f"{name} {theirs[name]}, and not {ours[name]}" for name in ours if theirs[name] != ours[name]]:
        listing = "; ".join(wrong)
        raise WeightsError(f"{folder} holds a ControlNet of another model: {listing}. Name one of this model's.")
    return cfg


def _facts(cfg: ControlNetConfig) -> Mapping[str, Any]:
    return {
        **{name: getattr(cfg.unet, name) for name in SHARED},
        "channels of its levels": cfg.residual_dims,
        "pixels to a latent": cfg.stride,
        "channels of a picture": cfg.conditioning_channels,
    }
