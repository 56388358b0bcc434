"""What is computed once and kept, under a name made of everything that it was computed from.

An entry is one file: a digest, then its content. One that does not match its digest is computed anew. Hosts may share
a folder or have one each: `fill` gives each host its share of the work, and then whatever it still lacks.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float32, UInt8
from safetensors.numpy import load, save

from mdctl.data.files import write_whole
from mdctl.spec.errors import DataError
from mdctl.storage.output import file_errors, reason

logger = logging.getLogger(__name__)

DIGEST_BYTES = 32
NUM_THREADS = 8
ROWS = ":rows"
"""Added to an array's name: how many rows it has with those that are not stored."""

Arrays = Mapping[str, Float32[np.ndarray, "..."] | UInt8[np.ndarray, "..."]]


@dataclass(frozen=True)
class Share:
    """This host's place among those that fill a cache.

    `wait` returns once every host has called it; `tell` hears what is being done, how much of it is, and of how many.
    """

    host: int = 0
    num_hosts: int = 1
    wait: Callable[[], None] = lambda: None
    tell: Callable[[str, int, int], None] = lambda what, done, total: None

    def over[T](self, what: str, results: Iterable[T], total: int) -> Iterator[T]:
        """Yield `total` results as they come, telling of each."""
        if total:
            self.tell(what, 0, total)
        for done, result in enumerate(results, start=1):
            yield result
            self.tell(what, done, total)


ALONE = Share()


@dataclass(frozen=True)
class Cache:
    """Entries by name in a folder, local or `gs://`, as one host of those that fill it sees them."""

    folder: str
    share: Share = ALONE

    def read(self, name: str) -> bytes | None:
        """Return an entry, or None if there is none or, with a warning, if it is damaged; raises DataError."""
        path = self._path(name)
        try:
            entry: bytes = path.read_bytes()
        except FileNotFoundError:
            return None
        except file_errors(self.folder) as error:
            raise DataError(
                f"{path} cannot be read: {reason(error)}. Allow it, or name another cache folder."
            ) from error
        recorded, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == recorded:
            return content
        logger.warning("%s is damaged and will be computed again", path)
        return None

    def entry(self, name: str) -> bytes:
        """Return an entry that was there before; raises DataError if it is not."""
        content = self.read(name)
        if content is None:
            raise DataError(f"{self._path(name)} was lost or damaged while the job ran. Start the job again.")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write an entry, whole or not at all; raises OutputError."""
        write_whole(self._path(name), hashlib.sha256(content).digest() + content)

    def fill[T](self, what: str, items: Mapping[str, T], compute: Callable[[Sequence[T]], Iterable[bytes]]) -> None:
        """Make the entry of every name present and whole; `compute` gives the contents of items, in order.

        `what` says in words what that does to one of them.
        """
        own = list(items)[self.share.host :: self.share.num_hosts]
        for part in (own, sorted(items.keys() - own)):
            lacking = self._lacking(part)
            contents = compute([items[name] for name in lacking])
            for name, content in self.share.over(what, zip(lacking, contents, strict=True), len(lacking)):
                self.write(name, content)
            self.share.wait()

    def _lacking(self, names: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            absent = pool.map(lambda name: self.read(name) is None, names)
            looked_up = self.share.over("looking up entry", zip(names, absent, strict=True), len(names))
            return [name for name, is_absent in looked_up if is_absent]

    def _path(self, name: str) -> Any:
        return epath.Path(self.folder) / name[:2] / name


def pack(arrays: Arrays) -> bytes:
    """Write arrays without the rows of zeros that they end in: most of a text embedding is padding."""
    tensors = {}
    for name, array in arrays.items():
        num_kept = np.flatnonzero(array.reshape(len(array), -1).any(axis=1)).max(initial=-1) + 1
        tensors[name] = np.ascontiguousarray(array[:num_kept])
        tensors[name + ROWS] = np.array([len(array)], np.int64)
    return save(tensors)


def unpack(content: bytes) -> dict[str, Any]:
    """Read what `pack` wrote, with its rows of zeros."""
    tensors = load(content)
    arrays = {}
    for name in [name for name in tensors if not name.endswith(ROWS)]:
        kept = tensors[name]
        arrays[name] = np.zeros((int(tensors[name + ROWS][0]), *kept.shape[1:]), kept.dtype)
        arrays[name][: len(kept)] = kept
    return arrays
