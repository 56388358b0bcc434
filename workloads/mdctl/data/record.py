"""What a run trains on: the clips that it began with, kept in its output directory.

The order of training follows from a seed and the number of clips, in each bucket if there are any, and which are held
out from the contents of all, so one clip more or less would change both without a word. An attempt that goes on from
saved progress therefore takes the clips of the record: those that came since are left out, and one that is gone or
changed is an error.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from etils import epath

from mdctl.data.captions import read_text
from mdctl.data.files import write_whole
from mdctl.data.index import NUM_SHOWN, Clip, Index
from mdctl.spec.buckets import Size
from mdctl.spec.errors import DataError

NUM_DIGITS = 12
"""Digits of a digest that tell two contents apart on a screen."""


@dataclass(frozen=True)
class Record:
    """The clips of a run, those that are held out included, how many contents are, and the sizes of its buckets."""

    clips: tuple[Clip, ...]
    num_held_out: int
    sizes: tuple[Size, ...] = ()


def pinned(found: Index, recorded: Sequence[Clip]) -> Index:
    """Return the index of the recorded clips and of no others; raises DataError if one is gone or changed."""
    lost = list((Counter(recorded) - Counter(found.clips)).elements())
    if lost:
        added = list((Counter(found.clips) - Counter(recorded)).elements())
        changes = "".join(f"\n  {clip.name}: {_change(clip, added, found.dropped)}" for clip in lost[:NUM_SHOWN])
        more = f"\n  and {len(lost) - NUM_SHOWN} more" if len(lost) > NUM_SHOWN else ""
        raise DataError(
            f"data set {found.folder}: {len(lost)} of the {len(recorded)} clips that this run began with are not "
            f"what they were:{changes}{more}\n"
            f"Put them back, or name another output directory to start afresh with the clips that are there now."
        )
    return replace(found, clips=tuple(recorded))


def read_record(path: epath.Path) -> Record:
    """Read what `write_record` wrote; raises DataError."""
    try:
        fields = json.loads(read_text(path))
        clips = tuple(Clip(**clip) for clip in fields["clips"])
        return Record(clips, int(fields["num_held_out"]), tuple(Size(*size) for size in fields.get("sizes", ())))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}, which says what this run trains on, is damaged ({type(error).__name__}: {error}). "
            f"Put it back, or name another output directory to start afresh."
        ) from error


def write_record(path: epath.Path, record: Record) -> None:
    """Write a record, whole or not at all; raises OutputError."""
    write_whole(path, json.dumps(asdict(record), indent=1).encode())


def _change(clip: Clip, added: Sequence[Clip], dropped: Sequence[str]) -> str:
    """Return what has become of a clip, in words."""
    faults = (fault for name, _, fault in (line.partition(": ") for line in dropped) if name == clip.name)
    now = next((other for other in added if other.name == clip.name), None)
    if now is None:
        return next(faults, "gone")
    if now.content != clip.content:
        return f"its content has the digest {now.content[:NUM_DIGITS]}, had {clip.content[:NUM_DIGITS]}"
    return f"its caption is {now.caption!r}, was {clip.caption!r}"
