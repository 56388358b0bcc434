"""The clips of a folder that can be trained on, in an order that depends on nothing but their names.

Every clip is read and decoded once before any order is derived: those that fail are named in one warning and dropped,
so that no fault shows up later. What decoding found, and how large clips are where that is asked for, is kept in the
cache, under the clip's content.
"""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from etils import epath

from mdctl.data.cache import Cache
from mdctl.data.captions import COLUMNS, CSV, JSON_LINES, Listed, listed_clips
from mdctl.data.files import digest
from mdctl.data.video import Decoding, UnreadableClip, decode, measure
from mdctl.spec.buckets import Size
from mdctl.spec.errors import DataError
from mdctl.storage.output import file_errors, reason

logger = logging.getLogger(__name__)

NUM_THREADS = 8
NUM_SHOWN = 10
"""Faults that fit on a screen."""


@dataclass(frozen=True)
class Clip:
    """A clip that decodes: its path in the folder, its caption, and the digest of its content."""

    name: str
    caption: str
    content: str


@dataclass(frozen=True)
class Index:
    """The clips of a folder, by name, and why each of the others is not among them."""

    folder: str
    clips: tuple[Clip, ...]
    dropped: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Name the clips, so that hosts can tell whether they see the same."""
        return digest(*(part for clip in self.clips for part in (clip.name, clip.caption, clip.content)))

    def split(self, num_held_out: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """Return the clips to train on and those held out: the last `num_held_out` contents by their digests."""
        contents = sorted({clip.content for clip in self.clips})
        if num_held_out >= len(contents):
            raise DataError(
                f"data set {self.folder}: holding out {num_held_out} of {len(contents)} different clips leaves none to "
                f"train on. Lower data.heldOut or add clips."
            )
        held_out = set(contents[len(contents) - num_held_out :])
        return (
            tuple(clip for clip in self.clips if clip.content not in held_out),
            tuple(clip for clip in self.clips if clip.content in held_out),
        )


def index_folder(folder: str, decoding: Decoding, cache: Cache, caption: str | None = None) -> Index:
    """Index the captioned clips of a folder; raises DataError if none can be used.

    `caption` is that of every clip without one of its own.
    """
    root = epath.Path(folder)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        listed = listed_clips(root, cache.share, caption)
        contents = pool.map(lambda clip: _with_content(root, clip), listed)
        found = list(cache.share.over("reading clip", contents, len(listed)))
    verdicts = _verdicts(folder, [clip for clip in found if isinstance(clip, Clip)], decoding, cache)
    faults = {clip: clip.fault if isinstance(clip, Listed) else verdicts[clip] for clip in found}
    clips = tuple(clip for clip in found if isinstance(clip, Clip) and not faults[clip])
    dropped = tuple(f"{clip.name}: {faults[clip]}" for clip in found if faults[clip])
    _report(folder, len(clips), dropped)
    return Index(folder, clips, dropped)


def read_clip(folder: str, clip: Clip) -> bytes:
    """Return the content of a clip; raises DataError if it is not what was indexed."""
    path = epath.Path(folder) / clip.name
    content: bytes = path.read_bytes() if path.exists() else b""
    if digest(content) != clip.content:
        raise DataError(f"{path} changed or went away while the job ran. Start the job again.")
    return content


def clip_sizes(index: Index, cache: Cache) -> dict[str, Size]:
    """Return the size that each content of an index has before it is scaled and cut."""

    def size(clip: Clip) -> bytes:
        return json.dumps(measure(clip.name, read_clip(index.folder, clip))).encode()

    clips = {digest("size", PurePosixPath(clip.name).suffix, clip.content): clip for clip in index.clips}
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        cache.fill("measuring clip", clips, partial(pool.map, size))
        entries = cache.share.over("looking up size", pool.map(cache.entry, clips), len(clips))
        return {clip.content: Size(*json.loads(entry)) for clip, entry in zip(clips.values(), entries, strict=True)}


def _with_content(root: Any, listed: Listed) -> Clip | Listed:
    if listed.fault:
        return listed
    try:
        content = (root / listed.name).read_bytes()
    except file_errors(str(root)) as error:
        return replace(listed, fault=f"cannot be read: {reason(error)}")
    return Clip(listed.name, listed.caption, digest(content)) if content else replace(listed, fault="empty file")


def _verdicts(folder: str, clips: Sequence[Clip], decoding: Decoding, cache: Cache) -> dict[Clip, str]:
    """Return why each clip does not decode, or an empty string."""

    def verdict(clip: Clip) -> bytes:
        try:
            decode(clip.name, read_clip(folder, clip), decoding)
        except UnreadableClip as error:
            return str(error).encode()
        return b""

    names = [digest("verdict", PurePosixPath(clip.name).suffix, clip.content, repr(decoding)) for clip in clips]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        cache.fill("decoding clip", dict(zip(names, clips, strict=True)), partial(pool.map, verdict))
        entries = cache.share.over("looking up verdict", pool.map(cache.entry, names), len(names))
        return {clip: entry.decode() for clip, entry in zip(clips, entries, strict=True)}


def _report(folder: str, num_usable: int, dropped: Sequence[str]) -> None:
    num_found = num_usable + len(dropped)
    if not num_found:
        raise DataError(
            f"data set {folder} holds no clips. Put videos or images there, each with a caption: a.mp4 with a.txt, "
            f"or a {JSON_LINES} or {CSV} with {' and '.join(COLUMNS)}."
        )
    if not num_usable:
        faults = "".join(f"\n  {fault}" for fault in dropped[:NUM_SHOWN])
        more = f"\n  and {num_found - NUM_SHOWN} more" if num_found > NUM_SHOWN else ""
        hint = ", or give all of them one caption, data.caption" if "no caption: " in faults else ""
        raise DataError(
            f"data set {folder}: none of its {num_found} clips can be used:{faults}{more}\nMend or replace them{hint}."
        )
    if dropped:
        faults = "".join(f"\n  {fault}" for fault in dropped)
        logger.warning("data set %s: %d of %d clips are left out:%s", folder, len(dropped), num_found, faults)
