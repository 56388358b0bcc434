"""A picture that sampling starts from, and what of it is to be kept."""

from pathlib import PurePath
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import Float32

from mdctl.data.video import Decoding, Pixels, UnreadableClip, decode, to_model
from mdctl.models.codec import Codec
from mdctl.spec.errors import SpecError
from mdctl.spec.sampling import Sampling
from mdctl.spec.shapes import PixelShape
from mdctl.storage.output import file_errors

WHITE = 0.0
"""Half-way between black and white, in [-1, 1]; what is as bright is made anew."""


class Picture(NamedTuple):
    """Latents of a picture; `begins` where sampling begins with it, `mask` (1: made anew) where some of it is kept."""

    latents: Float32[np.ndarray, "1 T H W C"]
    mask: Float32[np.ndarray, "1 T H W 1"] | None
    begins: bool


def read_picture(sampling: Sampling, size: PixelShape, codec: Codec) -> Picture | None:
    """Read the picture that a spec starts from, if it names one, at the size of what is made.

    A latent is made anew where the pixel at its top left is white, as in the published pipelines. At strength 1 nothing
    of the picture is in what sampling begins with.

    Raises SpecError: a file cannot be read, or is no picture.
    """
    if sampling.image is None:
        return None
    begins = sampling.strength < 1
    latents = np.asarray(codec.encode(jnp.asarray(_pixels("sampling.image", sampling.image, size))))
    if sampling.mask is None:
        return Picture(latents, None, begins)
    bright = _pixels("sampling.mask", sampling.mask, size).mean(axis=-1, keepdims=True) >= WHITE
    _, down, across = codec.strides
    return Picture(latents, bright[:, :, ::down, ::across].astype(np.float32), begins)


def read_pixels(field: str, location: str, size: PixelShape) -> Pixels:
    """Return the pixels of a picture, cut to the proportions of `size` and scaled; raises SpecError."""
    try:
        content = epath.Path(location).read_bytes()
        return decode(PurePath(location).name, content, Decoding(size))
    except file_errors(location) as error:
        raise SpecError(f"{field} {location!r} cannot be read ({error}); name a picture, here or at gs://") from error
    except UnreadableClip as error:
        raise SpecError(f"{field} {location!r}: {error}; name a .png, .jpg or .webp") from error


def _pixels(field: str, location: str, size: PixelShape) -> Float32[np.ndarray, "1 T H W 3"]:
    return to_model(read_pixels(field, location, size))[None]
