"""Codecs as one value: pixels to latents and back, whichever model stands behind it.

A repository of weights in the Hugging Face layout names its codec in `vae/config.json` (`_class_name`); `CODECS` says
which model of ours that is. Everything outside `models/` takes the value.

Some codecs give a distribution of latents, from which a denoiser is trained on another draw each time; it is Gaussian,
and its mode the mean. Wan's gives one as well, but Wan is trained on the mode.

Letters: B batch, T frames, H height, W width, C channels; t h w the same of latents.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from mdctl.models import autoencoder_kl, block_pca, wan_vae
from mdctl.models.weights import read_config
from mdctl.parallel.precision import full_precision
from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.errors import WeightsError
from mdctl.spec.shapes import Strides


class Moments(NamedTuple):
    """Normalised latents as a distribution, float32; `std` is None where the mean is all there is to draw."""

    mean: Float[Array, "B t h w C"]
    std: Float[Array, "B t h w C"] | None


Encode = Callable[[Float[Array, "B T H W 3"]], Float[Array, "B t h w C"]]
EncodeMoments = Callable[[Float[Array, "B T H W 3"]], Moments]
Decode = Callable[[Float[Array, "B t h w C"]], Float[Array, "B T H W 3"]]


@dataclass(frozen=True, kw_only=True)
class Codec:
    """Pixels in [-1, 1] to normalised float32 latents and back; all directions are jitted.

    `encode` takes videos whose shape fits `strides` (`PixelShape.latent`) and gives the mode of the posterior, of about
    zero mean and unit variance per channel; `moments` gives mean and standard deviation, normalised alike. `decode`
    takes such latents and gives float32 pixels, clamped to [-1, 1]. All run on the devices of this process, and compile
    once per shape.
    """

    strides: Strides
    channels: int
    encode: Encode
    moments: EncodeMoments
    decode: Decode


@runtime_checkable
class CodecModel(Protocol):
    """What the model behind a codec offers."""

    @property
    def strides(self) -> Strides:
        """Return the pixels that one latent spans."""
        ...

    @property
    def channels(self) -> int:
        """Return the channels of a latent."""
        ...

    def to_latents(self, pixels_BTHWC: Float[Array, "B T H W 3"]) -> Float[Array, "B t h w C"]:
        """Encode to normalised latents, float32."""
        ...

    def to_pixels(self, latents_BTHWC: Float[Array, "B t h w C"]) -> Float[Array, "B T H W 3"]:
        """Decode normalised latents, float32, before the clamp."""
        ...


@runtime_checkable
class PosteriorModel(CodecModel, Protocol):
    """What the model behind a codec offers whose denoisers are trained on draws from its posterior."""

    def to_moments(
        self, pixels_BTHWC: Float[Array, "B T H W 3"]
    ) -> tuple[Float[Array, "B t h w C"], Float[Array, "B t h w C"]]:
        """Encode to mean and standard deviation of normalised latents, float32."""
        ...


CODECS: Mapping[str, Callable[[Path, DTypeLike], CodecModel]] = {
    "AutoencoderKL": autoencoder_kl.load,
    "AutoencoderKLWan": wan_vae.load,
    "BlockPCA": block_pca.load,
}

TILED: Mapping[str, Callable[[Path, DTypeLike], CodecModel]] = {
    "AutoencoderKL": partial(autoencoder_kl.load, tiling=True),
}
"""Those that can code large pictures in tiles, so that they do."""

WITH_POSTERIOR = frozenset({"AutoencoderKL"})
"""Those whose `moments` have a standard deviation: the models are `PosteriorModel`s."""


def load_codec(repository: Path, *, dtype: DTypeLike = jnp.float32, tiling: bool = False) -> Codec:
    """Load the codec of a repository; `dtype` is that of its activations. With `tiling` it codes in tiles.

    Raises WeightsError if the codec is not in `CODECS` (or `TILED`), or its weights do not fit it.
    """
    folder = repository / "vae"
    name = str(read_config(folder).get("_class_name"))
    if name not in CODECS:
        raise WeightsError(f"{folder}: codec {name} is not known, only {', '.join(CODECS)}. Name another repository.")
    if tiling and name not in TILED:
        raise WeightsError(
            f"{folder}: codec {name} does not code in tiles, only {', '.join(TILED)}; vaeTiling is true."
        )
    return as_codec((TILED if tiling else CODECS)[name](folder, dtype))


def load_codec_for(model: CatalogueModel, repository: Path, *, tiling: bool) -> Codec:
    """Load the codec of a model's repository.

    Raises WeightsError as `load_codec` does, and if its latents are not the model's.
    """
    codec = load_codec(repository, tiling=tiling)
    has, wants = in_words(codec.channels, codec.strides), in_words(model.latent_channels, model.vae)
    if has != wants:
        raise WeightsError(
            f"{repository / 'vae'} gives latents of {has}, but those of {model.name} are of {wants}; "
            "change model.name or model.weights"
        )
    return codec


def in_words(channels: int, strides: Strides) -> str:
    """Return what a latent is, but for its frames: a codec of pictures serves videos of one frame too."""
    return f"{channels} channels for {strides.height} x {strides.width} pixels"


def has_posterior(repository: Path) -> bool:
    """Return whether the codec of a repository gives a standard deviation; nothing but its configuration is read."""
    return read_config(repository / "vae").get("_class_name") in WITH_POSTERIOR


def as_codec(model: CodecModel) -> Codec:
    """Return the value of a model: its directions, jitted over its parameters."""
    graphdef, params = nnx.split(model)

    @jax.jit
    @full_precision
    def encode(params: nnx.State[Any, Any], pixels_BTHWC: Float[Array, "B T H W 3"]) -> Float[Array, "B t h w C"]:
        return nnx.merge(graphdef, params).to_latents(pixels_BTHWC)

    @jax.jit
    @full_precision
    def moments(params: nnx.State[Any, Any], pixels_BTHWC: Float[Array, "B T H W 3"]) -> Moments:
        model = nnx.merge(graphdef, params)
        if isinstance(model, PosteriorModel):
            return Moments(*model.to_moments(pixels_BTHWC))
        return Moments(model.to_latents(pixels_BTHWC), None)

    @jax.jit
    @full_precision
    def decode(params: nnx.State[Any, Any], latents_BTHWC: Float[Array, "B t h w C"]) -> Float[Array, "B T H W 3"]:
        return jnp.clip(nnx.merge(graphdef, params).to_pixels(latents_BTHWC), -1.0, 1.0)

    return Codec(
        strides=model.strides,
        channels=model.channels,
        encode=lambda pixels_BTHWC: encode(params, pixels_BTHWC),
        moments=lambda pixels_BTHWC: moments(params, pixels_BTHWC),
        decode=lambda latents_BTHWC: decode(params, latents_BTHWC),
    )
