"""The answer to why a job does not run yet: one sentence, a table, and what could not be read."""

from collections.abc import Sequence
from dataclasses import dataclass

Row = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a job does not run yet."""

    sentence: str
    table: tuple[Row, ...] = ()
    unread: tuple[str, ...] = ()
    """What these credentials may not look at, and might have told more."""
    passes: bool = False
    """Whether it is what happens to every job for a moment."""


def listed(names: Sequence[object], most: int = 3) -> str:
    """Return names as a sentence holds them; of many only the first, and how many more."""
    rest = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {rest} more" if rest > 0 else "")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
