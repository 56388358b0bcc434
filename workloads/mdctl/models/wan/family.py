"""The Wan family: flow matching on causal video latents, conditioned on UMT5 embeddings."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Params
from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.diffusion.samplers.registry import flow_sampler
from mdctl.models import weights
from mdctl.models.codec import load_codec_for
from mdctl.models.family import Denoiser, Family, Settled, TextEncode, decay_kernels
from mdctl.models.published import as_named
from mdctl.models.scheduler import flow_shift, own_sampler
from mdctl.models.text import LENGTH, load_text_encoder
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.sharding import LAYOUT
from mdctl.models.wan.weights import TABLE
from mdctl.parallel.execution import Execution
from mdctl.parallel.precision import full_precision
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.sampling import Sampling

CONFIGS: Mapping[str, Callable[[], WanConfig]] = {
    "wan2.1-t2v-14b": WanConfig.t2v_14b,
    "wan2.1-t2v-1.3b": WanConfig.t2v_1_3b,
    "wan2.1-t2v-tiny": WanConfig.tiny,
}
"""The catalogue's names. Of the tiny model only the name is fixed: its sizes are its repository's."""


def process(model: CatalogueModel, repository: Path | None) -> FlowMatching:
    """Return flow matching, whatever the model."""
    del model, repository
    return FlowMatching()


def sampler(model: CatalogueModel, sampling: Sampling, repository: Path) -> Settled:
    """Return the sampler that is asked for, of the repository's shift unless the spec gives one."""
    del model
    name = sampling.sampler or own_sampler(repository)
    shift = flow_shift(repository) if sampling.shift is None else sampling.shift
    return Settled(flow_sampler(name, sampling.steps, shift, sampling.begins_at), {"sampler": name, "shift": shift})


def configure(model: CatalogueModel, repository: Path | None) -> WanConfig:
    """Return the configuration in `repository`, or without one the catalogue's.

    Raises WeightsError if the repository holds another model than the one named.
    """
    named = CONFIGS[model.name]()
    if repository is None:
        return named
    folder = repository / "transformer"
    return as_named(WanConfig.from_published(weights.read_config(folder)), named, model, folder)


def make_denoiser(cfg: WanConfig, execution: Execution) -> Denoiser:
    """Return the transformer as functions of its parameters."""
    build = partial(WanTransformer, cfg, execution=execution)
    graphdef, abstract = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))

    @full_precision
    def denoise(
        params: Params, x_BTHWC: Float32[Array, "B T H W C"], time_B: Float32[Array, " B"], conditioning: Any
    ) -> Float32[Array, "B T H W C"]:
        prediction: Float32[Array, "B T H W C"] = nnx.merge(graphdef, params)(x_BTHWC, time_B, conditioning["text"])
        return prediction

    def load(repository: Path, shardings: Any) -> Params:
        return weights.load(TABLE, repository / "transformer", abstract, shardings)

    return Denoiser(
        denoise=denoise,
        abstract=abstract,
        layout=LAYOUT,
        init=lambda key: nnx.state(build(rngs=nnx.Rngs(key))),
        load=load,
        part="transformer",
        table=TABLE,
        config=cfg.to_published(),
        decay_mask=decay_kernels,
        conditioning=lambda batch: {"text": jax.ShapeDtypeStruct((batch, LENGTH, cfg.text_dim), jnp.float32)},
        framing=lambda framing: {},
        load_text=load_text,
        text_sources=lambda repository: ("text_encoder", "tokenizer"),
    )


def load_text(repository: Path, dtype: DTypeLike) -> TextEncode:
    """Load the text encoder of a repository."""
    encoder = load_text_encoder(repository, dtype=dtype)
    return lambda prompts: {"text": encoder.encode(prompts)}


FAMILY = Family(
    process=process,
    sampler=sampler,
    configure=configure,
    denoiser=make_denoiser,
    load_codec=load_codec_for,
)
