"""The logs that a job keeps in its output directory: of attempts that are over, of jobs that are on no cluster."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mdctl.cluster.logs import BILLION, Excerpt, Line
from mdctl.results.attempts import Attempt, newest_attempts, read_attempts
from mdctl.results.logs import LogRecord, Selection, follow_logs, read_logs
from mdctl.results.opening import open_store
from mdctl.spec.errors import ResultsError

if TYPE_CHECKING:
    from mdctl.results.store import Store


def output_of(job: str, jobset: dict[str, Any] | None) -> str:
    """Return where a job writes: what its JobSet says, or where its name points."""
    from mdctl.cli.whereabouts import output_directory
    from mdctl.cluster.jobs import read_spec

    said = None if jobset is None else read_spec(jobset).spec.output_dir
    return said or output_directory(job)


def kept_logs(location: str, number: int | None, excerpt: Excerpt, *, follow: bool) -> tuple[Iterator[Line], int]:
    """Return the lines of an attempt (the newest one, where none is given) by time, and how many hosts it has.

    Raises:
        ResultsError: there is no such attempt.
    """
    store = open_store(location)
    attempts = read_attempts(store)
    if not attempts:
        raise ResultsError(
            f"{location}: no attempt has been recorded there; check the name, or wait until it has begun"
        )
    chosen = newest_attempts(attempts) if number is None else [each for each in attempts if each.number == number]
    if not chosen:
        last = max(each.number for each in attempts)
        raise ResultsError(f"{location} has no attempt {number}; the last one is {last}")
    hosts = max([each.hosts for each in chosen] + [host + 1 for each in chosen for host in each.logs])
    return _lines(store, chosen, excerpt, follow), hosts


def _lines(store: "Store", attempts: list[Attempt], excerpt: Excerpt, follow: bool) -> Iterator[Line]:
    since = None if excerpt.since is None else time.time() - excerpt.since
    selection = Selection(hosts=excerpt.hosts or None, since=since)
    passed_over: Counter[int] = Counter()
    if excerpt.tail is not None:
        counts = Counter(record.host for record in read_logs(store, attempts, selection))
        passed_over = counts - Counter(dict.fromkeys(counts, excerpt.tail))
    read = follow_logs(store, attempts, threading.Event().wait, selection) if follow else None
    for record in read or read_logs(store, attempts, selection):
        if passed_over[record.host] > 0:
            passed_over[record.host] -= 1
        else:
            yield _line(record)


def _line(record: LogRecord) -> Line:
    return Line(time=int(record.time * BILLION), host=record.host, restart=None, pod=None, text=record.line)
