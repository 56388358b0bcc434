"""The attempts at a job, and how each of their hosts ended. Where a job fans out, each shard has attempts of its own.

What is known is what the hosts wrote down. One that was destroyed wrote nothing: it is missing among the ends, and if
no attempt has come after it, that looks just like a host that is still at work.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mdctl.results.store import Entry, Store, as_object, read_all, read_tail
from mdctl.spec.errors import PeerLost, Preempted
from mdctl.spec.outputs import (
    ATTEMPT,
    ATTEMPTS,
    SHARDS,
    attempt_folder,
    attempt_number,
    host_exit,
    host_log,
    host_of,
    shard_folder,
)

TAIL_BYTES = 1 << 16


class State(StrEnum):
    """What has become of an attempt, as far as its files tell."""

    RUNNING = "running"
    STOPPING = "stopping"
    """Told to stop, and saving."""
    DONE = "done"
    PREEMPTED = "preempted"
    """Told to stop, and has stopped."""
    FAILED = "failed"
    LOST = "lost"
    """Another attempt came after it, and no host left a word."""


BY_WEIGHT = (State.FAILED, State.RUNNING, State.STOPPING, State.LOST, State.PREEMPTED, State.DONE)
"""Of several shards, the first of these that one of them is in is what the job is in."""

_ATTEMPT_FOLDER = re.compile(rf"(?:{SHARDS}/([0-9]+)/)?{ATTEMPTS}/([0-9]+)")


@dataclass(frozen=True, kw_only=True)
class HostEnd:
    """How one host ended."""

    host: int
    code: int | None  # None: told to stop, and still there
    cause: str
    disrupted: bool  # told to stop before it ended
    origin: int | None = None  # the host on which it began; None: this one
    time: float
    last_lines: tuple[str, ...] = ()  # what it printed last, where it could not say more


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a job."""

    number: int
    shard: int | None  # None: the job does not fan out
    run: str | None  # what all attempts of one submission share
    incarnation: str | None
    spec: str | None  # its hash
    hosts: int
    progress: int  # steps saved, or videos written, when it began
    began: float
    ends: tuple[HostEnd, ...]  # by host; a host that has not ended, or was destroyed, has none
    logs: Mapping[int, Entry]  # by host
    superseded: bool  # another attempt came after it

    @property
    def folder(self) -> str:
        """Return where it is kept in the output directory."""
        home = "" if self.shard is None else f"{shard_folder(self.shard)}/"
        return f"{home}{attempt_folder(self.number)}"

    @property
    def failure(self) -> HostEnd | None:
        """Return the end that explains the others: the first that began on its own host, a lost peer only if alone."""
        failed = sorted((end for end in self.ends if end.code), key=lambda end: end.time)
        own = [end for end in failed if end.origin in (None, end.host)]
        reasons = [end for end in own if end.code != PeerLost.exit_code]
        return next(iter([*reasons, *own, *failed]), None)

    @property
    def state(self) -> State:
        """Return what has become of it."""
        failure = self.failure
        if failure is not None:
            stopped = failure.code == Preempted.exit_code or failure.disrupted
            return State.PREEMPTED if stopped else State.FAILED
        if len(self.ends) >= self.hosts and all(end.code == 0 for end in self.ends):
            return State.DONE
        if self.superseded:
            return State.LOST
        return State.STOPPING if any(end.code is None for end in self.ends) else State.RUNNING

    @property
    def is_over(self) -> bool:
        """Say whether nothing more will be written of it."""
        return self.superseded or sum(end.code is not None for end in self.ends) >= self.hosts

    @property
    def heard(self) -> float:
        """Return when one of its hosts last wrote something."""
        return max([self.began, *(log.modified for log in self.logs.values()), *(end.time for end in self.ends)])


@dataclass(frozen=True, kw_only=True)
class History:
    """The attempts at a job in short."""

    count: int  # where the job fans out, of the shard that has most
    began: float | None  # when the first one began; None: there is none
    newest: tuple[Attempt, ...]  # the one that began last; where the job fans out, of each shard


def read_attempts(store: Store) -> list[Attempt]:
    """Return all attempts: of each shard, where there are any, the first one first."""
    return _attempts(store, _by_folder([*store.files(ATTEMPTS), *store.files(SHARDS)]))


def read_history(store: Store, *, fans_out: bool) -> History:
    """Return the attempts in short; only of the newest is more read than its files' names."""
    folders = _by_folder(store.files(SHARDS if fans_out else ATTEMPTS))
    newest: dict[int | None, str] = {}
    for folder in sorted(folders):
        newest[_numbers(folder)[0]] = folder
    return History(
        count=max((_numbers(folder)[1] for folder in folders), default=0),
        began=min((entry.modified for files in folders.values() for entry in files.values()), default=None),
        newest=tuple(_attempts(store, {folder: folders[folder] for folder in newest.values()})),
    )


def read_again(store: Store, attempt: Attempt) -> Attempt:
    """Return an attempt as it is now."""
    home = attempt.folder.removesuffix(attempt_folder(attempt.number))
    numbers = map(attempt_number, store.folders(f"{home}{ATTEMPTS}"))
    newest = max((number for number in numbers if number is not None), default=0)
    found = _attempts(store, _by_folder(store.files(attempt.folder)))
    return replace(found[0], superseded=attempt.number < newest) if found else attempt


def newest_attempts(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Return the attempt that began last; where a job fans out, of each shard."""
    newest = {attempt.shard: attempt for attempt in sorted(attempts, key=lambda attempt: attempt.number)}
    return sorted(newest.values(), key=lambda attempt: attempt.shard or 0)


def joint_state(attempts: Collection[Attempt]) -> State | None:
    """Return what has become of the newest attempts of all shards together; None if none has begun."""
    states = {attempt.state for attempt in attempts}
    return next((state for state in BY_WEIGHT if state in states), None)


def joint_failure(attempts: Iterable[Attempt]) -> HostEnd | None:
    """Return the first failure among those of several shards."""
    failures = [failure for attempt in attempts if (failure := attempt.failure)]
    return min(failures, key=lambda end: end.time, default=None)


def last_words(store: Store, attempt: Attempt, host: int, count: int = 20) -> tuple[str, ...]:
    """Return the last lines that a host printed, or logged (as they are: JSON)."""
    printed = next((end.last_lines for end in attempt.ends if end.host == host), ())
    if printed or host not in attempt.logs:
        return printed[-count:]
    logged = read_tail(store, attempt.logs[host], TAIL_BYTES).decode(errors="replace")
    return tuple(logged.splitlines()[-count:])


def _by_folder(entries: Iterable[Entry]) -> dict[str, dict[str, Entry]]:
    """Return the files of attempts, by the attempt's folder and then by name."""
    folders: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        folder, _, name = entry.name.rpartition("/")
        if _ATTEMPT_FOLDER.fullmatch(folder):
            folders[folder][name] = entry
    return folders


def _attempts(store: Store, folders: Mapping[str, Mapping[str, Entry]]) -> list[Attempt]:
    """Return the attempts that are kept in some folders."""
    small = (entry.name for files in folders.values() for name, entry in files.items() if name.endswith(".json"))
    contents = {name: as_object(content) for name, content in read_all(store, small).items()}
    found = [
        _attempt(folder, files, {name: contents.get(entry.name, {}) for name, entry in files.items()})
        for folder, files in sorted(folders.items())
    ]
    newest = {attempt.shard: attempt.number for attempt in sorted(found, key=lambda attempt: attempt.number)}
    return [replace(attempt, superseded=attempt.number < newest[attempt.shard]) for attempt in found]


def _attempt(folder: str, files: Mapping[str, Entry], facts: Mapping[str, Mapping[str, Any]]) -> Attempt:
    beginning = facts.get(ATTEMPT, {})
    hosts = sorted({host for name in files if (host := host_of(name)) is not None})
    ends = (_end(host, files[host_exit(host)], facts[host_exit(host)]) for host in hosts if host_exit(host) in files)
    shard, number = _numbers(folder)
    return Attempt(
        number=number,
        shard=shard,
        run=beginning.get("run"),
        incarnation=beginning.get("incarnation"),
        spec=beginning.get("spec"),
        hosts=int(beginning.get("hosts", len(hosts))),
        progress=int(beginning.get("progress", 0)),
        began=float(beginning.get("time") or min(entry.modified for entry in files.values())),
        ends=tuple(end for end in ends if end is not None),
        logs={host: files[host_log(host)] for host in hosts if host_log(host) in files},
        superseded=False,
    )


def _numbers(folder: str) -> tuple[int | None, int]:
    """Return the shard, if there are any, and the number of the attempt that is kept in a folder."""
    found = _ATTEMPT_FOLDER.fullmatch(folder)
    assert found is not None
    return int(found[1]) if found[1] else None, int(found[2])


def _end(host: int, entry: Entry, facts: Mapping[str, Any]) -> HostEnd | None:
    """Return what a host wrote of its end; None if a kill cut it short."""
    if "code" not in facts:
        return None
    return HostEnd(
        host=host,
        code=facts["code"],
        cause=str(facts.get("cause", "")),
        disrupted=bool(facts.get("disrupted")),
        origin=facts.get("origin"),
        time=float(facts.get("time") or entry.modified),
        last_lines=tuple(map(str, facts.get("last_lines", ()))),
    )
