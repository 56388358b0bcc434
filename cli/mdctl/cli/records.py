"""What jobs keep in their output directories; where that cannot be read, the rest is shown all the same."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdctl.spec.errors import ResultsError

if TYPE_CHECKING:
    from mdctl.results.attempts import Attempt
    from mdctl.results.cancellation import Cancellation
    from mdctl.results.jobs import RecordedJob


@dataclass(frozen=True, kw_only=True)
class Records:
    """What a job has written: a summary and its attempts; or why that cannot be read."""

    location: str | None
    job: "RecordedJob | None" = None
    attempts: "Sequence[Attempt]" = ()
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What has become of a job that is not on the cluster."""

    phase: str
    cancellation: "Cancellation | None" = None


def read_records(location: str | None) -> Records:
    """Return what a job keeps in a directory; nothing, where it has written nothing, or cannot be read."""
    from mdctl.results.attempts import read_attempts
    from mdctl.results.jobs import recorded_job
    from mdctl.results.opening import open_store

    if location is None:
        return Records(location=None)
    try:
        store = open_store(location)
        job = recorded_job(store)
        return Records(location=location, job=job, attempts=read_attempts(store) if job else ())
    except ResultsError as error:
        return Records(location=location, problem=str(error))


def all_records() -> "tuple[list[RecordedJob], str | None]":
    """Return what the user's own output directory keeps of jobs, and why that cannot be read."""
    from mdctl.cli.settings import read_settings
    from mdctl.results.jobs import recorded_jobs

    root = read_settings().output_dir
    try:
        return recorded_jobs(root) if root else [], None
    except ResultsError as error:
        return [], str(error)


def outcome_of(record: "RecordedJob") -> Outcome:
    """Return what has become of a job that is not on the cluster: what its attempts say, or that it was cancelled.

    One that neither ended nor was cancelled is gone: deleted, or on another cluster.
    """
    from mdctl.results.attempts import State

    if record.state is State.DONE:
        return Outcome(phase="Completed")
    if (found := _cancellation_of(record)) is not None:
        return Outcome(phase="Cancelled", cancellation=found)
    return Outcome(phase="Failed" if record.state is State.FAILED else "Gone")


def outcomes_of(records: "Sequence[RecordedJob]") -> list[Outcome]:
    """Return the outcome of each."""
    from concurrent.futures import ThreadPoolExecutor

    from mdctl.results.store import NUM_JOBS

    with ThreadPoolExecutor(NUM_JOBS) as pool:
        return list(pool.map(outcome_of, records))


def _cancellation_of(record: "RecordedJob") -> "Cancellation | None":
    """Return what says that the newest run was cancelled: its pods may have been waiting still, and written nothing."""
    from mdctl.results.cancellation import read_cancellation
    from mdctl.results.opening import open_store

    newest = record.attempts.newest
    with suppress(ResultsError):
        found = read_cancellation(open_store(record.directory))
        if found and (found.run in {each.run for each in newest} or all(each.began < found.time for each in newest)):
            return found
    return None


def last_lines(records: Records, host: int) -> tuple[str, ...]:
    """Return the last lines that a host of the newest attempt kept, as people read them."""
    from mdctl.results.attempts import last_words
    from mdctl.results.opening import open_store
    from mdctl.spec.log_record import words

    known = [each for each in records.attempts if host in each.logs or any(end.host == host for end in each.ends)]
    with suppress(ResultsError):
        if known and records.location:
            return tuple(map(words, last_words(open_store(records.location), known[-1], host)))
    return ()
