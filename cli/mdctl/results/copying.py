"""Results copied to a folder of this machine, in the same places, so that the copy is an output directory too.

Each file is written under a temporary name and renamed. One that is there already, with the same size and checksum, is
left alone: a copy that was broken off goes on with what it lacks.
"""

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mdctl.results.artifacts import Artifact
from mdctl.results.checksum import file_crc32c
from mdctl.results.store import NUM_THREADS, Entry, Store
from mdctl.spec.errors import OutputError

Advance = Callable[[int], None]
"""Called, from several threads, with the number of bytes that have been dealt with."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What a copy came to."""

    files: int
    already_there: int  # of these
    size: int  # bytes, of all


@dataclass(frozen=True)
class _Piece:
    """A file to copy, and to where."""

    store: Store
    entry: Entry
    target: Path


def copy(artifacts: Sequence[Artifact], folder: Path, advance: Advance = lambda _: None) -> Copied:
    """Copy artifacts into a folder.

    Raises:
        OutputError: the folder cannot be written, or has no room.
        ResultsError: a file cannot be read, or has gone.
    """
    pieces = [
        _Piece(artifact.store, entry, folder / artifact.under / entry.name)
        for artifact in artifacts
        for entry in artifact.files
    ]
    total = sum(piece.entry.size for piece in pieces)
    stop = threading.Event()
    pool = ThreadPoolExecutor(NUM_THREADS)
    try:
        there = list(pool.map(_is_there, pieces))
        lacking = [piece for piece, is_there in zip(pieces, there, strict=True) if not is_there]
        size = sum(piece.entry.size for piece in lacking)
        advance(total - size)
        _check_room(folder, size)
        list(pool.map(lambda piece: _copy(piece, advance, stop), lacking))
    finally:
        stop.set()  # after an error, or an interruption: of large files too
        pool.shutdown(cancel_futures=True)
    return Copied(files=len(pieces), already_there=sum(there), size=total)


class _Stopped(Exception):  # noqa: N818 - not a fault
    """Another file failed, or the person has had enough."""


class _Target:
    """A file that is written piece by piece until it is told to stop."""

    def __init__(self, file: BinaryIO, path: Path, advance: Advance, stop: threading.Event) -> None:
        self._file = file
        self._path = path
        self._advance = advance
        self._stop = stop

    def write(self, content: bytes, /) -> int:
        """Write the next bytes."""
        if self._stop.is_set():
            raise _Stopped
        try:
            self._file.write(content)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._advance(len(content))
        return len(content)


def _is_there(piece: _Piece) -> bool:
    try:
        if piece.target.stat().st_size != piece.entry.size:
            return False
        return file_crc32c(piece.target) == piece.store.crc32c(piece.entry.name)
    except OSError:
        return False


def _copy(piece: _Piece, advance: Advance, stop: threading.Event) -> None:
    temporary = piece.target.with_name(f".{piece.target.name}.{uuid.uuid4().hex[:8]}")
    try:
        piece.target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            piece.store.fetch(piece.entry.name, _Target(file, piece.target, advance, stop))
        os.utime(temporary, (piece.entry.modified, piece.entry.modified))
        os.replace(temporary, piece.target)
    except OSError as error:
        raise _unwritable(piece.target, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _check_room(folder: Path, size: int) -> None:
    """Refuse what the disk has no room for before anything is copied."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _unwritable(folder, error) from None
    if size > free:
        raise OutputError(
            f"{folder} has room for {free} bytes, and {size} are to be copied; make room, name another folder with "
            "--copy-to, or copy less with --kind"
        )


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror}; make room or allow it, or name another folder")
