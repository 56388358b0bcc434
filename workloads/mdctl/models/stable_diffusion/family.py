"""The family of Stable Diffusion: a UNet on the latents of a picture, conditioned on what CLIP makes of a prompt.

A picture is a video of one frame: dim T of its latents is 1, and goes no further than this file. SDXL is also told how
large the picture was, and what was cut out of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float32

from mdctl.data.framing import Framing
from mdctl.diffusion.denoise import Params
from mdctl.diffusion.prediction import PUBLISHED, V
from mdctl.diffusion.samplers.registry import variance_preserving_sampler
from mdctl.diffusion.variance_preserving import VariancePreserving
from mdctl.models import weights
from mdctl.models.clip.tokenizer import LENGTH
from mdctl.models.codec import load_codec_for
from mdctl.models.family import Denoiser, Family, Settled, decay_kernels
from mdctl.models.published import as_named
from mdctl.models.scheduler import own_sampler, read_variance_preserving
from mdctl.models.stable_diffusion.control import RESIDUALS, added, open_control
from mdctl.models.stable_diffusion.text import load_text, open_text, text_sources
from mdctl.models.unet.config import NUM_SIZES, UNetConfig
from mdctl.models.unet.modeling import UNet
from mdctl.models.unet.sharding import LAYOUT
from mdctl.models.unet.weights import weight_table
from mdctl.parallel.execution import Execution
from mdctl.parallel.precision import full_precision
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.sampling import Sampling

CONFIGS: Mapping[str, Callable[[], UNetConfig]] = {
    "sd1.5": UNetConfig.sd15,
    "sd2": UNetConfig.sd2,
    "sd2.1": UNetConfig.sd21,
    "sdxl": UNetConfig.sdxl,
    "sdxl-lightning": UNetConfig.sdxl,
    "sd-tiny": UNetConfig.tiny,
    "sdxl-tiny": UNetConfig.tiny,
}
"""The catalogue's names. Of tiny models only the names are fixed: their sizes are their repositories'."""

PROCESSES: Mapping[str, VariancePreserving] = {"sd2.1": VariancePreserving(target_is=V)}
"""What a model was trained to undo where no repository says it, and it is not the usual."""


def process(model: CatalogueModel, repository: Path | None) -> VariancePreserving:
    """Return what the network was trained to undo: as the repository's scheduler has it, or without one the model's."""
    if repository is None:
        return PROCESSES.get(model.name, VariancePreserving())
    return read_variance_preserving(repository).process


def sampler(model: CatalogueModel, sampling: Sampling, repository: Path) -> Settled:
    """Return the sampler that is asked for, of the repository's process."""
    scheduler = read_variance_preserving(repository)
    name = sampling.sampler or own_sampler(repository)
    spacing = sampling.spacing or scheduler.stepping.spacing
    distilled = model.distilled.get(sampling.steps)
    target = scheduler.process.target_is if distilled is None else PUBLISHED[distilled.predicts]
    undone = replace(scheduler.process, target_is=target)
    made = variance_preserving_sampler(
        name, undone, sampling.steps, replace(scheduler.stepping, spacing=spacing), sampling.begins_at
    )
    return Settled(made, {"sampler": name, "spacing": spacing})


def configure(model: CatalogueModel, repository: Path | None) -> UNetConfig:
    """Return the configuration in `repository`, or without one the catalogue's.

    Raises WeightsError if the repository holds another model than the one named.
    """
    named = CONFIGS[model.name]()
    if repository is None:
        return named
    folder = repository / "unet"
    return as_named(UNetConfig.from_published(weights.read_config(folder)), named, model, folder)


def make_denoiser(cfg: UNetConfig, execution: Execution) -> Denoiser:
    """Return the UNet as functions of its parameters."""
    table = weight_table(cfg)
    build = partial(UNet, cfg, execution=execution)
    graphdef, abstract = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))

    @full_precision
    def denoise(
        params: Params, x_BTHWC: Float32[Array, "B T H W C"], time_B: Float32[Array, " B"], conditioning: Any
    ) -> Float32[Array, "B T H W C"]:
        x_BHWC = rearrange(x_BTHWC, "b 1 h w c -> b h w c")
        unet, text, said = nnx.merge(graphdef, params), conditioning["text"], conditioning.get(RESIDUALS)
        down, mid = (None, None) if said is None else said
        prediction = unet(x_BHWC, time_B, text, added(cfg, conditioning), down_residuals=down, mid_residual=mid)
        return rearrange(prediction, "b h w c -> b 1 h w c")

    def load(repository: Path, shardings: Any) -> Params:
        return weights.load(table, repository / "unet", abstract, shardings)

    return Denoiser(
        denoise=denoise,
        abstract=abstract,
        layout=LAYOUT,
        init=lambda key: nnx.state(build(rngs=nnx.Rngs(key))),
        load=load,
        part="unet",
        table=table,
        config=cfg.to_published(),
        decay_mask=decay_kernels,
        conditioning=partial(conditioning, cfg),
        framing=partial(framing, cfg),
        load_text=load_text,
        text_sources=text_sources,
    )


def conditioning(cfg: UNetConfig, batch: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shape of what the UNet is conditioned on."""
    shapes: dict[str, tuple[int, ...]] = {"text": (LENGTH, cfg.cross_attention_dim)}
    if is_told_sizes(cfg):
        pooled = cfg.projection_class_embeddings_input_dim - NUM_SIZES * cfg.addition_time_embed_dim
        shapes |= {"pooled": (pooled,), "sizes": (NUM_SIZES,)}
    return {name: jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for name, shape in shapes.items()}


def framing(cfg: UNetConfig, framed: Framing) -> dict[str, Float32[np.ndarray, "..."]]:
    """Return what the UNet is told of how a picture was framed."""
    if not is_told_sizes(cfg):
        return {}
    return {"sizes": np.array([*framed.original, *framed.crop, *framed.target], np.float32)}


def is_told_sizes(cfg: UNetConfig) -> bool:
    """Return whether sizes and a pooled text go into the time's embedding."""
    return cfg.projection_class_embeddings_input_dim > 0


FAMILY = Family(
    process=process,
    sampler=sampler,
    configure=configure,
    denoiser=make_denoiser,
    load_codec=load_codec_for,
    text=open_text,
    control=open_control,
)
