"""The `folder` data set: captioned clips, encoded once and then read from the cache, or whenever they are asked for.

Latents are kept under (the clip's content, how it was decoded, which codec), text embeddings under (the caption, which
encoder). A renamed clip, a new caption or another order costs nothing; another codec or size starts afresh. Mirrored
clips have entries of their own, and so has each size: what was there before is kept.

Where a codec gives a distribution, its mean m and standard deviation s are what is kept, and in row r a clip's latents
are

    z = m + s noise(seed, r)                                              (1)

so that they differ each time it is trained on. Held-out clips are m, in their centre and not mirrored.

What else is told of a picture, for a ControlNet, is kept beside its latents, under what it is and how it was decoded.
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
from mdctl.data.condition import Condition, Shown, as_numbers
from mdctl.data.dataset import Conditioning, Dataset, Example
from mdctl.data.draws import latent_noise
from mdctl.data.files import digest
from mdctl.data.framing import Framed, framed
from mdctl.data.index import Clip, Index, read_clip
from mdctl.data.order import Order
from mdctl.data.treatment import Treatment
from mdctl.data.video import Decoding, Pixels, decode, to_model
from mdctl.spec.buckets import Size
from mdctl.spec.shapes import LatentShape

LATENTS, MEAN, STD, CONDITION = "latents", "mean", "std", "condition"

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
    `sizes` that contents have before that (`clip_sizes`). `condition` adds a picture made from each clip of one frame.
    """

    index: Index
    decoding: Decoding
    encoders: Encoders
    cache: Cache
    treatment: Treatment = field(default_factory=Treatment)
    framing: Framed | None = None
    condition: Condition | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)

    def fill(self, training: Sequence[Clip], held_out: Sequence[Clip]) -> None:
        """Encode every clip and caption, and the empty caption, that the cache lacks."""
        views = [(clip, view) for clip in training for view in self.treatment.kept(self.trained(clip))]
        views += [(clip, self.decoding) for clip in held_out]
        captions = ["", *(clip.caption for clip in self.index.clips)]
        self.cache.fill(
            "encoding clip", {self._latents(*view): view for view in views}, partial(map, self._encode_clip)
        )
        if self.condition is not None:
            told = {self._told(self.condition, *view): view for view in views}
            self.cache.fill("preparing condition", told, partial(map, partial(self._make_condition, self.condition)))
        self.cache.fill(
            "encoding caption", {self._text(caption): caption for caption in captions}, partial(map, self._encode_text)
        )

    def example(self, clip: Clip, seed: int, row: int) -> Example:
        """Return a clip as it is trained on in a row, from the cache where it is kept."""
        view = self.treatment.in_row(self.trained(clip), seed, row)
        if self.treatment.is_kept:
            found, shown = self._kept(clip, view), self._kept_condition(clip, view)
        else:
            pixels = self._pixels(clip, view)
            found, shown = self._encoded(pixels), None if self.condition is None else self.condition.make(pixels[0])
        return self._example(clip, view, drawn(found, seed, row) if STD in found else found[LATENTS], shown)

    def held_out(self, clip: Clip) -> Example:
        """Return a clip that is held out, from the cache."""
        found = self._kept(clip, self.decoding)
        latents = found[MEAN if STD in found else LATENTS]
        return self._example(clip, self.decoding, latents, self._kept_condition(clip, self.decoding))

    def dropped(self) -> Conditioning:
        """Return the conditioning of the empty caption; how a clip is framed is no matter of its caption."""
        return self._captioned("")

    def trained(self, clip: Clip) -> Decoding:
        """Return how a clip is decoded to be trained on, but for what is drawn for each row."""
        if not self.treatment.sizes:
            return self.decoding
        return self.treatment.bucket(self.decoding, self.sizes[clip.content])

    def _example(self, clip: Clip, view: Decoding, latents: Latents, shown: Shown | None) -> Example:
        conditioning = dict(self._captioned(clip.caption))
        if self.framing is not None:
            conditioning |= self.framing(framed(self.sizes[clip.content], view.size, view.corner))
        if self.condition is not None:
            assert shown is not None
            conditioning[self.condition.name] = as_numbers(shown)
        return {"latents": latents, "conditioning": conditioning}

    def _kept(self, clip: Clip, view: Decoding) -> dict[str, Float32[np.ndarray, "..."]]:
        return unpack(self.cache.entry(self._latents(clip, view)))

    def _kept_condition(self, clip: Clip, view: Decoding) -> Shown | None:
        if self.condition is None:
            return None
        shown: Shown = unpack(self.cache.entry(self._told(self.condition, clip, view)))[CONDITION]
        return shown

    def _captioned(self, caption: str) -> Conditioning:
        return unpack(self.cache.entry(self._text(caption)))

    def _latents(self, clip: Clip, view: Decoding) -> str:
        return self._seen(LATENTS, clip, view, self.encoders.pixels_fingerprint)

    def _told(self, condition: Condition, clip: Clip, view: Decoding) -> str:
        return self._seen(CONDITION, clip, view, condition.fingerprint)

    def _seen(self, what: str, clip: Clip, view: Decoding, fingerprint: str) -> str:
        suffix = PurePosixPath(clip.name).suffix
        kind = f"{suffix} on white" if suffix.lower() in WITH_ALPHA else suffix
        side = ("mirrored",) if view.mirrored else ()
        return digest(what, kind, clip.content, repr(view), fingerprint, *side)

    def _text(self, caption: str) -> str:
        return digest("text", caption, self.encoders.text_fingerprint)

    def _encode_clip(self, seen: tuple[Clip, Decoding]) -> bytes:
        return pack(self._encoded(self._pixels(*seen)))

    def _make_condition(self, condition: Condition, seen: tuple[Clip, Decoding]) -> bytes:
        return pack({CONDITION: condition.make(self._pixels(*seen)[0])})

    def _pixels(self, clip: Clip, view: Decoding) -> Pixels:
        return decode(clip.name, read_clip(self.index.folder, clip), view)

    def _encoded(self, pixels: Pixels) -> dict[str, Float32[np.ndarray, "..."]]:
        return {name: _first(array) for name, array in self.encoders.pixels(to_model(pixels)[None]).items()}

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
