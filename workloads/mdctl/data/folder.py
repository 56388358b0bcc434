"""The `folder` data set: captioned clips, encoded once and then read from the cache.

Latents are kept under (the clip's content, how it was decoded, which codec), text embeddings under (the caption, which
encoder). A renamed clip, a new caption or another order costs nothing; another codec or size starts afresh.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from mdctl.data.cache import Cache, pack, unpack
from mdctl.data.dataset import Conditioning, Dataset, Example
from mdctl.data.files import digest
from mdctl.data.index import Clip, Index, read_clip
from mdctl.data.order import Order
from mdctl.data.video import Decoding, decode, to_model

LATENTS = "latents"


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """What turns pixels in [-1, 1] [B T H W 3] into normalised latents, and captions into conditioning.

    Both take and return a leading batch dimension, and are called only for what the cache lacks: load the weights in
    the first call. The fingerprints name everything that results depend on: weights, sizes, dtypes.
    """

    pixels: Callable[[Float32[np.ndarray, "B T H W 3"]], Any]
    text: Callable[[Sequence[str]], Mapping[str, Any]]
    pixels_fingerprint: str
    text_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """An index of clips as examples: where each is found in the cache, and how it gets there."""

    index: Index
    decoding: Decoding
    encoders: Encoders
    cache: Cache

    def fill(self) -> None:
        """Encode every clip and caption, and the empty caption, that the cache lacks."""
        clips = {self._latents(clip): clip for clip in self.index.clips}
        captions = {self._text(caption): caption for caption in ["", *(clip.caption for clip in self.index.clips)]}
        self.cache.fill("encoding clip", clips, partial(map, self._encode_clip))
        self.cache.fill("encoding caption", captions, partial(map, self._encode_text))

    def example(self, clip: Clip) -> Example:
        """Read an example from the cache."""
        latents = unpack(self.cache.entry(self._latents(clip)))[LATENTS]
        return {"latents": latents, "conditioning": self.conditioning(clip.caption)}

    def conditioning(self, caption: str) -> Conditioning:
        """Read the conditioning of a caption from the cache."""
        return unpack(self.cache.entry(self._text(caption)))

    def _latents(self, clip: Clip) -> str:
        kind = PurePosixPath(clip.name).suffix
        return digest(LATENTS, kind, clip.content, repr(self.decoding), self.encoders.pixels_fingerprint)

    def _text(self, caption: str) -> str:
        return digest("text", caption, self.encoders.text_fingerprint)

    def _encode_clip(self, clip: Clip) -> bytes:
        pixels = to_model(decode(clip.name, read_clip(self.index.folder, clip), self.decoding))
        return pack({LATENTS: _first(self.encoders.pixels(pixels[None]))})

    def _encode_text(self, caption: str) -> bytes:
        return pack({name: _first(array) for name, array in self.encoders.text([caption]).items()})


def folder_dataset(source: FolderSource, *, seed: int, num_held_out: int = 0) -> Dataset:
    """Return the data set of a folder, filling its cache; raises DataError, OutputError."""
    training, held_out = source.index.split(num_held_out)
    source.fill()
    return Dataset(
        order=Order(len(training), seed),
        load=lambda i: source.example(training[i]),
        dropped=source.conditioning(""),
        num_held_out=len(held_out),
        load_held_out=lambda i: source.example(held_out[i]),
    )


def _first(batch: Any) -> Float32[np.ndarray, "..."]:
    first: Float32[np.ndarray, ...] = np.asarray(batch, np.float32)[0]
    return first
