"""The `folder` data set: captioned clips, encoded once and then read from the cache, or whenever they are asked for.

Latents are kept under (the clip's content, how it was decoded, which codec), text embeddings under (the caption, which
encoder). A renamed clip, a new caption or another order costs nothing; another codec or size starts afresh. Mirrored
clips have entries of their own, and so has each size: what was there before is kept.

Where a codec gives a distribution, its mean m and standard deviation s are what is kept, and in row r a clip's latents
are

    z = m + s noise(seed, r)                                              (1)

so that they differ each time it is trained on. Held-out clips are m, in their centre and not mirrored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.data.cache import Cache, pack, unpack
from mdctl.data.dataset import Conditioning, Dataset, Example
from mdctl.data.draws import latent_noise
from mdctl.data.files import digest
from mdctl.data.framing import Framed, framed
from mdctl.data.index import Clip, Index, read_clip
from mdctl.data.order import Order
from mdctl.data.treatment import Treatment
from mdctl.data.video import Decoding, decode, to_model
from mdctl.spec.buckets import Size
from mdctl.spec.shapes import LatentShape

LATENTS, MEAN, STD = "latents", "mean", "std"

WITH_ALPHA = frozenset({".png", ".webp"})
"""Kinds of files that may be transparent. The colour of what is so was once any, and entries of that time are left."""

Latents = Float32[np.ndarray, "T H W C"]


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """What turns pixels in [-1, 1] [B T H W 3] into normalised latents, and captions into conditioning.

    Latents are named LATENTS, or MEAN and STD where rows draw theirs. Both take and return a leading batch dimension,
    and are called only for what the cache lacks: load the weights in the first call. The fingerprints name everything
    that results depend on: weights, sizes, dtypes, and which arrays are asked for.
    """

    pixels: Callable[[Float32[np.ndarray, "B T H W 3"]], Mapping[str, Any]]
    text: Callable[[Sequence[str]], Mapping[str, Any]]
    pixels_fingerprint: str
    text_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """An index of clips as examples: where each is found in the cache, and how it gets there.

    `framing` adds to the conditioning what a model is told of how clips were scaled and cut. It and buckets need the
    `sizes` that contents have before that (`clip_sizes`).
    """

    index: Index
    decoding: Decoding
    encoders: Encoders
    cache: Cache
    treatment: Treatment = field(default_factory=Treatment)
    framing: Framed | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)

    def fill(self, training: Sequence[Clip], held_out: Sequence[Clip]) -> None:
        """Encode every clip and caption, and the empty caption, that the cache lacks."""
        views = [(clip, view) for clip in training for view in self.treatment.kept(self.trained(clip))]
        views += [(clip, self.decoding) for clip in held_out]
        captions = ["", *(clip.caption for clip in self.index.clips)]
        self.cache.fill(
            "encoding clip", {self._latents(*view): view for view in views}, partial(map, self._encode_clip)
        )
        self.cache.fill(
            "encoding caption", {self._text(caption): caption for caption in captions}, partial(map, self._encode_text)
        )

    def example(self, clip: Clip, seed: int, row: int) -> Example:
        """Return a clip as it is trained on in a row, from the cache where it is kept."""
        view = self.treatment.in_row(self.trained(clip), seed, row)
        found = self._kept(clip, view) if self.treatment.is_kept else self._encoded(clip, view)
        return self._example(clip, view, drawn(found, seed, row) if STD in found else found[LATENTS])

    def held_out(self, clip: Clip) -> Example:
        """Return a clip that is held out, from the cache."""
        found = self._kept(clip, self.decoding)
        return self._example(clip, self.decoding, found[MEAN if STD in found else LATENTS])

    def dropped(self) -> Conditioning:
        """Return the conditioning of the empty caption; how a clip is framed is no matter of its caption."""
        return self._captioned("")

    def trained(self, clip: Clip) -> Decoding:
        """Return how a clip is decoded to be trained on, but for what is drawn for each row."""
        if not self.treatment.sizes:
            return self.decoding
        return self.treatment.bucket(self.decoding, self.sizes[clip.content])

    def _example(self, clip: Clip, view: Decoding, latents: Latents) -> Example:
        conditioning = dict(self._captioned(clip.caption))
        if self.framing is not None:
            conditioning |= self.framing(framed(self.sizes[clip.content], view.size, view.corner))
        return {"latents": latents, "conditioning": conditioning}

    def _kept(self, clip: Clip, view: Decoding) -> dict[str, Float32[np.ndarray, "..."]]:
        return unpack(self.cache.entry(self._latents(clip, view)))

    def _captioned(self, caption: str) -> Conditioning:
        return unpack(self.cache.entry(self._text(caption)))

    def _latents(self, clip: Clip, view: Decoding) -> str:
        suffix = PurePosixPath(clip.name).suffix
        kind = f"{suffix} on white" if suffix.lower() in WITH_ALPHA else suffix
        side = ("mirrored",) if view.mirrored else ()
        return digest(LATENTS, kind, clip.content, repr(view), self.encoders.pixels_fingerprint, *side)

    def _text(self, caption: str) -> str:
        return digest("text", caption, self.encoders.text_fingerprint)

    def _encode_clip(self, seen: tuple[Clip, Decoding]) -> bytes:
        return pack(self._encoded(*seen))

    def _encoded(self, clip: Clip, view: Decoding) -> dict[str, Float32[np.ndarray, "..."]]:
        pixels = to_model(decode(clip.name, read_clip(self.index.folder, clip), view))
        return {name: _first(array) for name, array in self.encoders.pixels(pixels[None]).items()}

    def _encode_text(self, caption: str) -> bytes:
        return pack({name: _first(array) for name, array in self.encoders.text([caption]).items()})


def folder_dataset(source: FolderSource, *, seed: int, global_batch: int = 1, num_held_out: int = 0) -> Dataset:
    """Return the data set of a folder, filling its cache; `global_batch` decides which rows are of one bucket.

    Raises DataError, OutputError.
    """
    training, held_out = source.index.split(num_held_out)
    source.fill(training, held_out)
    return Dataset(
        order=_order(source, training, seed, global_batch),
        load=lambda i, row: source.example(training[i], seed, row),
        dropped=source.dropped(),
        num_held_out=len(held_out),
        load_held_out=lambda i: source.held_out(held_out[i]),
    )


def drawn(moments: Mapping[str, Latents], seed: int, row: int) -> Latents:
    """Return (1)."""
    mean, std = moments[MEAN], moments[STD]
    latents: Latents = mean + std * latent_noise(seed, row, LatentShape(*mean.shape))
    return latents


def _order(source: FolderSource, clips: Sequence[Clip], seed: int, global_batch: int) -> Order | BucketedOrder:
    if not source.treatment.sizes:
        return Order(len(clips), seed)
    buckets: dict[Size, list[int]] = {size: [] for size in source.treatment.sizes}
    for number, clip in enumerate(clips):
        buckets[source.trained(clip).size].append(number)
    return BucketedOrder({size: members for size, members in buckets.items() if members}, seed, global_batch)


def _first(batch: Any) -> Float32[np.ndarray, "..."]:
    first: Float32[np.ndarray, ...] = np.asarray(batch, np.float32)[0]
    return first
