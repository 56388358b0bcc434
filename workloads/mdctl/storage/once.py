"""Files that several processes would write, and one does: on this machine or at `gs://`.

    found = look(path)               what is there, and which version of it that is
    swap(path, found, content)       write, unless somebody else has written since
    withdraw(path, found)            remove, unless somebody else has written since

At `gs://` the server compares. On this machine writers take turns at a lock on the folder, which the system releases
when its holder is killed, and the file is renamed into place: whoever reads it finds one version or the other, whole.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from etils import epath

from mdctl.data.files import write_whole
from mdctl.spec.errors import OutputError
from mdctl.storage.lines import is_remote
from mdctl.storage.output import reason


@dataclass(frozen=True)
class Found:
    """A file as it was found."""

    content: bytes | None  # None: there is none
    generation: int = 0  # at gs://


def look(path: epath.Path) -> Found:
    """Return what a file holds now."""
    if is_remote(path):
        from mdctl.storage import objects

        version = objects.read(str(path))
        return Found(None) if version is None else Found(*version)
    try:
        return Found(path.read_bytes())
    except FileNotFoundError:
        return Found(None)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {reason(error)}; make it readable, or remove it") from error


def swap(path: epath.Path, found: Found, content: bytes) -> bool:
    """Write a file if it still is as it was found; return whether it now holds this content.

    Raises:
        OutputError: the folder cannot be written.
    """
    if is_remote(path):
        from mdctl.storage import objects

        return objects.replace(str(path), found.generation, content)
    with _locked(path.parent):
        there = look(path).content
        if there != found.content:
            return there == content
        write_whole(path, content)
        return True


def withdraw(path: epath.Path, found: Found) -> None:
    """Remove a file that was found, if it still is as it was."""
    if found.content is None:
        return
    if is_remote(path):
        from mdctl.storage import objects

        objects.remove(str(path), found.generation)
        return
    with _locked(path.parent):
        if look(path).content == found.content:
            path.unlink()


def write_new(path: epath.Path, content: bytes) -> None:
    """Write a file whose name says what it holds, unless it is there."""
    swap(path, Found(None), content)


@contextmanager
def _locked(folder: epath.Path) -> Iterator[None]:
    """Keep other processes of this machine from writing in a folder; it is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {reason(error)}; allow writing to it, or name another folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
