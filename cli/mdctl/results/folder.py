"""Results in a folder of this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from mdctl.results.checksum import CHUNK_BYTES, file_crc32c
from mdctl.results.store import Entry, Sink
from mdctl.spec.errors import ResultsError


@dataclass(frozen=True)
class Folder:
    """A store that is a folder."""

    location: str

    def inside(self, folder: str) -> "Folder":
        """Return the store of a folder in this one."""
        return Folder(self._path(folder))

    def files(self, folder: str = "") -> list[Entry]:
        """Return every file below a folder, by name."""
        with self._reading(folder):
            walk = os.walk(self._path(folder), onerror=_fail)
            found = (self._entry(f"{path}/{name}") for path, _, names in walk for name in names)
            return sorted((each for each in found if each), key=lambda each: each.name)

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders directly in a folder."""
        with self._reading(folder):
            path = Path(self._path(folder))
            return sorted(each.name for each in path.iterdir() if each.is_dir()) if path.is_dir() else []

    def find(self, name: str) -> Entry | None:
        """Return one file; None if there is none such."""
        with self._reading(name):
            return self._entry(self._path(name))

    def read(self, name: str, start: int = 0) -> bytes | None:
        """Return what a file holds from an offset on; None if there is no such file."""
        with self._reading(name):
            try:
                with open(self._path(name), "rb") as file:
                    file.seek(start)
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def fetch(self, name: str, sink: Sink) -> None:
        """Hand over what a file holds, piece by piece."""
        with self._reading(name), open(self._path(name), "rb") as file:
            while content := file.read(CHUNK_BYTES):
                sink.write(content)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole, in the place of one that may be there."""
        path = Path(self._path(name))
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(content)
            new.replace(path)
        except OSError as error:
            raise ResultsError(f"{path} cannot be written: {error.strerror}; allow it, or name another") from None

    def crc32c(self, name: str) -> str | None:
        """Return the checksum of a file in base64; None if there is no such file."""
        with self._reading(name):
            return file_crc32c(Path(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self.location}/{name}" if name else self.location

    def _entry(self, path: str) -> Entry | None:
        """Return a file as an entry; None if it is none, or has gone since it was listed."""
        try:
            stat = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not S_ISREG(stat.st_mode):
            return None
        return Entry(name=path[len(self.location) + 1 :], size=stat.st_size, modified=stat.st_mtime)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._path(name)
            raise ResultsError(f"{where} cannot be read: {error.strerror}; allow it, or name another") from None


def _fail(error: OSError) -> None:
    """Let a folder that may not be listed be an error; one that is not there is empty."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
