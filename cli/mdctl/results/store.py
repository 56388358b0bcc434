"""Where results are: a folder or `gs://bucket/path`, read through one small interface (`opening` says which).

Names are relative to the store, with forward slashes. What is not there is empty or None; what may not be read, or does
not answer, is a ResultsError of one sentence.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

NUM_THREADS = 8
"""Files asked for at once: a bucket takes its time for one, and no more for all of them."""
NUM_JOBS = 32
"""Jobs asked for at once, each of which asks for its files."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file in a store."""

    name: str
    size: int  # bytes
    modified: float  # seconds since the epoch


class Sink(Protocol):
    """What a file is fetched into."""

    def write(self, content: bytes, /) -> int:
        """Take the next bytes."""
        ...


class Store(Protocol):
    """A place to read from."""

    @property
    def location(self) -> str:
        """Return the folder, or `gs://bucket/path`."""
        ...

    def inside(self, folder: str) -> "Store":
        """Return the store of a folder in this one."""
        ...

    def files(self, folder: str = "") -> list[Entry]:
        """Return every file below a folder, by name."""
        ...

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders directly in a folder."""
        ...

    def find(self, name: str) -> Entry | None:
        """Return one file; None if there is none such."""
        ...

    def read(self, name: str, start: int = 0) -> bytes | None:
        """Return what a file holds from an offset on; None if there is no such file."""
        ...

    def fetch(self, name: str, sink: Sink) -> None:
        """Hand over what a file holds, piece by piece; a file that has gone since it was listed is a ResultsError."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole, in the place of one that may be there."""
        ...

    def crc32c(self, name: str) -> str | None:
        """Return the checksum of a file in base64; None if there is no such file."""
        ...


def read_all(store: Store, names: Iterable[str]) -> dict[str, bytes]:
    """Return what each file holds, of those that are there."""
    wanted = list(names)
    contents = at_once(store, store.read, wanted)
    return {name: content for name, content in zip(wanted, contents, strict=True) if content is not None}


def at_once[T, R](store: Store, ask: Callable[[T], R], items: Sequence[T], threads: int = NUM_THREADS) -> list[R]:
    """Return what a store answers to each item: a bucket is asked several at once, a disk one after the other."""
    if not is_remote(store) or len(items) < 2:
        return list(map(ask, items))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, items))


def is_remote(store: Store) -> bool:
    """Say whether a store is at `gs://`."""
    return "://" in store.location


def read_tail(store: Store, entry: Entry, size: int) -> bytes:
    """Return the last whole lines of a file, at most so many bytes of them."""
    start = max(0, entry.size - size)
    content = store.read(entry.name, start) or b""
    return content if start == 0 else content.partition(b"\n")[2]


def as_object(content: bytes | None) -> Mapping[str, Any]:
    """Return the object in a JSON text; an empty one if a kill cut it short, or there is none."""
    try:
        value = json.loads(content or b"")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def newest_objects(content: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of JSON lines, the last one first, but for what is none, as a line that a kill cut short."""
    return filter(None, map(as_object, reversed(content.splitlines())))
