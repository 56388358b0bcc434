"""The worker's log: JSON lines for machines, one line of words for a terminal.

Modules log through `logging` as usual; fields go in `extra=fields(...)`. In a pod standard output gets JSON lines, on a
terminal words; the attempt's folder gets JSON lines in either case, and other libraries' warnings as well. What every
host would say alike (`extra=shared(...)`) only rank 0 says on standard output.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Mapping
from logging.handlers import MemoryHandler
from typing import Any

from rich.console import Console

from mdctl.spec.errors import OutputError
from mdctl.spec.log_record import in_words
from mdctl.storage.lines import Lines

SECONDS_BETWEEN_FLUSHES = 60.0
EARLY_RECORDS = 1000
"""Records kept until the attempt has a folder."""


def start_log(rank: int, console: Console, number: int | None = None) -> None:
    """Log to standard output: what mdctl itself says, from every host, and nothing else.

    `number` is what the host is called, where that is not its rank.
    """
    name = rank if number is None else number
    handler = Words(console) if console.is_terminal else JsonLines(StandardOutput(), name)
    handler.addFilter(logging.Filter("mdctl"))
    handler.addFilter(lambda record: rank == 0 or not getattr(record, "shared", False))
    root = logging.getLogger()
    root.handlers[:] = [handler, MemoryHandler(EARLY_RECORDS, flushLevel=sys.maxsize)]
    root.setLevel(logging.WARNING)
    logging.getLogger("mdctl").setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log that cannot be written stops nothing
    _take_hooks()


def _take_hooks() -> None:
    """Log what other threads and libraries would print: an exception of theirs that matters reaches us another way."""
    stray = logging.getLogger("python")
    sys.excepthook = lambda kind, error, trace: stray.error("stray exception", exc_info=error)
    threading.excepthook = lambda args: stray.error("in a thread", exc_info=args.exc_value)
    sys.unraisablehook = lambda args: stray.error("in %r", args.object, exc_info=args.exc_value)


def fields(**values: Any) -> dict[str, Any]:
    """Return `extra` of a record with these fields."""
    return {"fields": values}


def shared(**values: Any) -> dict[str, Any]:
    """Return `extra` of a record that every host logs alike."""
    return {"fields": values, "shared": True}


def log_to(lines: Lines, rank: int) -> None:
    """Log to a file as well, what has been said so far included."""
    root, handler = logging.getLogger(), JsonLines(lines, rank)
    for early in [each for each in root.handlers if isinstance(each, MemoryHandler)]:
        early.setTarget(handler)
        root.removeHandler(early)
        early.close()
    root.addHandler(handler)


def flush_log() -> None:
    """Make sure that what was logged outlives this process."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class StandardOutput:
    """JSON lines on standard output."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Print a record."""
        print(json.dumps(record), flush=True)

    def flush(self) -> None:
        """Do nothing more than `write` did."""


class JsonLines(logging.Handler):
    """Writes records as JSON lines: time, level, host, message, and the record's own fields."""

    def __init__(self, lines: Lines, rank: int) -> None:
        super().__init__()
        self._lines = lines
        self._rank = rank
        self._flushed = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a long-running job's log reaches its bucket once a minute."""
        line = {"time": record.created, "level": record.levelname.lower(), "host": self._rank}
        if not record.name.startswith("mdctl"):
            line["logger"] = record.name
        line |= {"message": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info:
            line["traceback"] = logging.Formatter().formatException(record.exc_info)
        try:
            self._lines.write(line)
            if time.monotonic() - self._flushed > SECONDS_BETWEEN_FLUSHES:
                self.flush()
        except (OSError, OutputError):
            self.handleError(record)

    def flush(self) -> None:
        """Flush the file."""
        self._lines.flush()
        self._flushed = time.monotonic()


class Words(logging.Handler):
    """Prints records for a person, above a progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        line = in_words(record.levelname.lower(), record.getMessage(), getattr(record, "fields", {}))
        self._console.print(line, markup=False, soft_wrap=True)
