"""What the hosts of attempts logged, merged by time; and what they add to it, as they add it.

A host's log on a disk grows line by line. At `gs://` it is written anew once a minute and at its end, so that what
follows there comes in bursts.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from mdctl.results.attempts import Attempt, read_again
from mdctl.results.store import Store, as_object, at_once
from mdctl.spec.outputs import host_log, host_of

SECONDS_BETWEEN_LOOKS = 2.0

Wait = Callable[[float], bool]
"""Wait for so many seconds; True says to stop, as `threading.Event.wait` does."""


@dataclass(frozen=True, order=True)
class LogRecord:
    """One record of a host's log."""

    time: float
    host: int
    level: str = field(compare=False)
    message: str = field(compare=False)
    line: str = field(compare=False)  # as it is in the file: JSON, with all fields


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which records are wanted."""

    hosts: Collection[int] | None = None  # None: all
    since: float | None = None  # seconds since the epoch; None: from the beginning

    def has_host(self, host: int) -> bool:
        """Say whether a host's log is wanted."""
        return self.hosts is None or host in self.hosts

    def has(self, record: LogRecord) -> bool:
        """Say whether a record is wanted."""
        return self.has_host(record.host) and (self.since is None or record.time >= self.since)


EVERYTHING = Selection()


def read_logs(store: Store, attempts: Iterable[Attempt], selection: Selection = EVERYTHING) -> Iterator[LogRecord]:
    """Yield what the hosts of attempts have logged so far, by time."""
    yield from _Reading(store, attempts, selection).more()


def follow_logs(
    store: Store, attempts: Sequence[Attempt], wait: Wait, selection: Selection = EVERYTHING
) -> Iterator[LogRecord]:
    """Yield what the hosts of attempts have logged, and what they add, until all are over or `wait` says to stop."""
    reading = _Reading(store, attempts, selection)
    was_over = False
    while True:
        is_over = all(read_again(store, attempt).is_over for attempt in attempts)
        yield from reading.more()
        if is_over and was_over:  # one more look: at gs:// a host says how it ended just before its last lines
            return
        was_over = is_over
        if wait(SECONDS_BETWEEN_LOOKS):
            return


class _Reading:
    """The logs of attempts, and how far each has been read."""

    def __init__(self, store: Store, attempts: Iterable[Attempt], selection: Selection) -> None:
        self._store = store
        self._folders = [attempt.folder for attempt in attempts]
        self._selection = selection
        self._taken: dict[str, int] = {}  # file -> bytes

    def more(self) -> Iterator[LogRecord]:
        """Yield what was added since the last call, by time."""
        entries = [entry for folder in self._folders for entry in self._store.files(folder)]
        grown = [entry.name for entry in entries if entry.size > self._taken.get(entry.name, 0)]
        logs = {name: host for name in grown if (host := _logged_by(name)) is not None}
        wanted = {name: host for name, host in logs.items() if self._selection.has_host(host)}
        taken = at_once(self._store, self._take, list(wanted.items()))
        yield from sorted(chain.from_iterable(taken))

    def _take(self, log: tuple[str, int]) -> list[LogRecord]:
        """Return the whole lines that a log (its name, and its host) has beyond those taken before."""
        name, host = log
        start = self._taken.get(name, 0)
        content = self._store.read(name, start) or b""
        whole = content[: content.rfind(b"\n") + 1]
        self._taken[name] = start + len(whole)
        return list(self._records(host, whole))

    def _records(self, host: int, whole: bytes) -> Iterator[LogRecord]:
        for line in whole.decode(errors="replace").splitlines():
            facts = as_object(line.encode())
            if facts:
                record = LogRecord(
                    time=float(facts.get("time", 0.0)),
                    host=host,
                    level=str(facts.get("level", "info")),
                    message=str(facts.get("message", "")),
                    line=line,
                )
                if self._selection.has(record):
                    yield record


def _logged_by(path: str) -> int | None:
    """Return the host whose log a file is; None if it is none."""
    name = path.rpartition("/")[2]
    host = host_of(name)
    return host if host is not None and name == host_log(host) else None
