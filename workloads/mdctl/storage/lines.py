"""Files of JSON lines that survive restarts: metrics, evaluations, logs.

A local file is appended to. An object of `gs://` cannot be, so its lines are kept and the object is written anew at
each `flush`, which happens before every checkpoint: what a restored step has behind it is always in the file.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from etils import epath

from mdctl.spec.errors import OutputError
from mdctl.storage.output import file_errors, reason

Record = Mapping[str, Any]


class Lines(Protocol):
    """A file of JSON lines that grows."""

    def write(self, record: Record) -> None:
        """Add a record."""
        ...

    def flush(self) -> None:
        """Make sure that every record so far outlives this process."""
        ...


class LocalLines:
    """JSON lines in a file of this machine. The system has each line at once, so that a kill loses none."""

    def __init__(self, path: epath.Path, records: Sequence[Record]) -> None:
        temporary = path.with_name(f".{path.name}.new")
        with _writing(path):
            temporary.write_text("".join(map(_line, records)))
            temporary.replace(path)
        self._path = path

    def write(self, record: Record) -> None:
        """Add a record."""
        with _writing(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(_line(record))

    def flush(self) -> None:
        """Wait until the disk has every record."""
        with _writing(self._path), open(self._path, "a", encoding="utf-8") as file:
            os.fsync(file.fileno())


class RemoteLines:
    """JSON lines in an object of `gs://`."""

    def __init__(self, path: epath.Path, records: Sequence[Record]) -> None:
        self._path = path
        self._lines = list(map(_line, records))
        self.flush()

    def write(self, record: Record) -> None:
        """Add a record."""
        self._lines.append(_line(record))

    def flush(self) -> None:
        """Write the object anew."""
        with _writing(self._path):
            self._path.write_text("".join(self._lines))


def open_lines(path: epath.Path, keep: Callable[[Record], bool]) -> Lines:
    """Open a file to add to, keeping those of its records that `keep` wants; a line cut short by a kill goes.

    This and every method raise OutputError if the file cannot be written.
    """
    with _writing(path):
        records = [record for record in read_lines(path) if keep(record)] if path.exists() else []
    return RemoteLines(path, records) if is_remote(path) else LocalLines(path, records)


def read_lines(path: epath.Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, up to the first line that is cut short."""
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def is_remote(path: epath.Path) -> bool:
    """Return whether a path is of `gs://`."""
    return "://" in str(path)


@contextmanager
def _writing(path: epath.Path) -> Iterator[None]:
    """Say what to do about a file that cannot be written."""
    try:
        yield
    except file_errors(str(path)) as error:
        raise OutputError(
            f"{path} cannot be written: {reason(error)}; make room there and allow writing, or name another directory"
        ) from error


def _line(record: Record) -> str:
    return json.dumps(record, allow_nan=False) + "\n"
