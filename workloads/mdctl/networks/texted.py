"""A denoiser with its text encoders, trained along: conditioned on tokens, and its parameters are

{"denoiser": the denoiser's, "text": the encoders'}
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.models.family import Denoiser, PublishedPart, TextEncoders, fields_of
from mdctl.parallel.rules import under

DENOISER, TEXT = "denoiser", "text"


@dataclass(frozen=True, kw_only=True)
class TextedDenoiser(Denoiser):
    """The denoiser and the encoders; both begin as published, but a denoiser that is drawn anew."""

    inner: Denoiser
    text: TextEncoders

    def begin(self, repository: Path | None, shardings: Any, key: jax.Array | None) -> Params:
        """Return parameters to begin with; encoders are loaded in any case."""
        laid = {DENOISER: None, TEXT: None} if shardings is None else shardings
        return {DENOISER: self.inner.begin(repository, laid[DENOISER], key), TEXT: self.text.load(laid[TEXT])}

    @property
    def parts(self) -> Mapping[str, PublishedPart]:
        """Return the denoiser's folders, and those of the encoders."""
        of_text = {name: part.under(TEXT) for name, part in self.text.parts.items()}
        return {name: part.under(DENOISER) for name, part in self.inner.parts.items()} | of_text

    def save(self, params: Params, folder: Path) -> None:
        """Write both."""
        self.inner.save(params[DENOISER], folder)
        self.text.save(params[TEXT], folder)

    def encoded(self, params: Params, conditioning: Conditioning) -> Conditioning:
        """Return the conditioning with texts in the place of their tokens, if there are any."""
        return encode(self.text, params[TEXT], conditioning)


def with_text(inner: Denoiser, text: TextEncoders) -> TextedDenoiser:
    """Return a denoiser that encodes its texts itself."""

    def denoise(
        params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        return inner.denoise(params[DENOISER], x, time, encode(text, params[TEXT], conditioning))

    def conditioning(batch: int) -> Mapping[str, jax.ShapeDtypeStruct]:
        told = {name: struct for name, struct in inner.conditioning(batch).items() if name in inner.told}
        return {
            **{name: jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for name, shape in text.shapes.items()},
            **told,
        }

    outer = replace(
        inner,
        denoise=denoise,
        abstract={DENOISER: inner.abstract, TEXT: text.abstract},
        layout=(*under(DENOISER, inner.layout), *under(TEXT, text.layout)),
        conditioning=conditioning,
        load_text=lambda repository, dtype: text.tokenize,
    )
    return TextedDenoiser(**fields_of(outer), inner=inner, text=text)


def encode(text: TextEncoders, params: Params, conditioning: Conditioning) -> Conditioning:
    """Return the conditioning with texts in the place of their tokens; what is encoded already stays."""
    if not text.shapes.keys() <= conditioning.keys():
        return conditioning
    tokens = {name: conditioning[name] for name in text.shapes}
    told = {name: array for name, array in conditioning.items() if name not in text.shapes}
    return {**text.encode(params, tokens), **told}
