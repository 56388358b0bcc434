"""The Wan family: flow matching on causal video latents, conditioned on UMT5 embeddings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
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
from mdctl.models import weights
from mdctl.models.codec import load_codec
from mdctl.models.family import Denoiser, Family, TextConditioning
from mdctl.models.text import LENGTH, load_text_encoder
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.sharding import LAYOUT
from mdctl.models.wan.weights import TABLE
from mdctl.parallel.execution import Execution
from mdctl.parallel.precision import full_precision
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.errors import WeightsError
from mdctl.spec.shapes import LatentShape, PixelShape
from mdctl.storage.tensors import read_json

CONFIGS: Mapping[str, Callable[[], WanConfig]] = {
    "wan2.1-t2v-14b": WanConfig.t2v_14b,
    "wan2.1-t2v-1.3b": WanConfig.t2v_1_3b,
    "wan2.1-t2v-tiny": WanConfig.tiny,
}
"""The catalogue's names. Of the tiny model only the name is fixed: its sizes are its repository's."""


def latent_shape(model: CatalogueModel, pixels: PixelShape) -> LatentShape:
    """Return the geometry of a video's latents."""
    return pixels.latent(model.vae, model.latent_channels)


def configure(model: CatalogueModel, repository: Path | None) -> WanConfig:
    """Return the configuration in `repository`, or without one the catalogue's.

    Raises WeightsError if the repository holds another model than the one named.
    """
    named = CONFIGS[model.name]()
    if repository is None:
        return named
    found = WanConfig.from_published(weights.read_config(repository / "transformer"))
    others = {key: value for key, value in asdict(found).items() if value != asdict(named)[key]}
    if others and model.weights is not None:
        theirs = ", ".join(f"{key} {value}" for key, value in others.items())
        ours = ", ".join(f"{key} {asdict(named)[key]}" for key in others)
        raise WeightsError(
            f"{repository}: its transformer has {theirs}, but {model.name} has {ours}; "
            "change model.name or model.weights"
        )
    return found


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
        decay_mask=decay_mask,
    )


def decay_mask(params: Params) -> Any:
    """Say which parameters decay: kernels do; biases, gains and modulation tables do not."""
    return jax.tree.map_with_path(lambda path, _: "kernel" in jax.tree_util.keystr(path, simple=True), params)


def conditioning(cfg: WanConfig, batch: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shape of what prompts become."""
    return {"text": jax.ShapeDtypeStruct((batch, LENGTH, cfg.text_dim), jnp.float32)}


def load_text(repository: Path, dtype: DTypeLike) -> Callable[[Sequence[str]], TextConditioning]:
    """Load the text encoder of a repository."""
    encoder = load_text_encoder(repository, dtype=dtype)
    return lambda prompts: {"text": encoder.encode(prompts)}


def sampling_shift(repository: Path) -> float:
    """Return the shift of a repository's scheduler; its configuration spells it in two ways."""
    config = read_json(repository / "scheduler" / "scheduler_config.json")
    shift = config.get("flow_shift", config.get("shift", 1.0))
    if isinstance(shift, bool) or not isinstance(shift, int | float) or not shift > 0:
        raise WeightsError(
            f"{repository / 'scheduler' / 'scheduler_config.json'}: the shift is {shift!r}, not a number above 0; "
            "fetch it again, or set sampling.shift"
        )
    return float(shift)


FAMILY = Family(
    process=FlowMatching(),
    latent_shape=latent_shape,
    configure=configure,
    denoiser=make_denoiser,
    conditioning=conditioning,
    load_text=load_text,
    load_codec=load_codec,
    sampling_shift=sampling_shift,
)
