"""What is kept of each attempt under the output directory, and the end of a crash loop.

Which attempt and run, and of every host its log, exit code and cause, by the names in `mdctl.spec.outputs`.

Where a job fans out each shard has attempts of its own, in a folder of its own: its pods share nothing to collide in.

An attempt was disrupted if one of its hosts was told to stop. Three attempts of one run in a row that were neither
disrupted nor completed, and began as far as the next one does, are a crash loop: the next one ends it.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from etils import epath

from mdctl.runtime.exits import Exit
from mdctl.spec.errors import Preempted, WillFailAgain
from mdctl.spec.outputs import ATTEMPT, ATTEMPTS, attempt_folder, attempt_number, host_exit, host_log, shard_folder
from mdctl.spec.shard import WHOLE, Shard
from mdctl.storage.output import file_errors

MAX_IN_VAIN = 3
"""Attempts in a row that may get nowhere."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What rank 0 says of a new attempt, to its peers and on disk."""

    number: int
    run: str
    incarnation: str
    spec: str  # hash
    hosts: int
    progress: int  # steps saved, or videos written, when it began


@dataclass(frozen=True)
class Diary:
    """One host's record of one attempt."""

    folder: epath.Path
    host: int
    _closed: threading.Event = field(default_factory=threading.Event, init=False, compare=False)

    @property
    def log(self) -> epath.Path:
        """Return where this host's log goes."""
        return self.folder / host_log(self.host)

    @property
    def exit(self) -> epath.Path:
        """Return where this host's exit cause goes."""
        return exit_file(self.folder, self.host)

    def stopping(self, reason: str) -> None:
        """Record that this host was told to stop, in case it is killed before it has; stop in any case.

        One that is told so as it leaves has its end recorded, and for another reason: it keeps that.
        """
        if self._closed.is_set():
            return
        with suppress(*file_errors(str(self.folder))):
            self.exit.write_text(json.dumps({"code": None, "cause": reason, "disrupted": True}))

    def ended(self, end: Exit) -> None:
        """Record how this host ended; leave in any case."""
        self._closed.set()
        with suppress(*file_errors(str(self.folder))):
            disrupted = end.code == Preempted.exit_code or bool(_read(self.exit).get("disrupted"))
            record = {"code": end.code, "cause": end.cause, "disrupted": disrupted}
            self.exit.write_text(json.dumps(record | {"origin": end.origin, "time": time.time()}))


def exit_file(folder: epath.Path, rank: int) -> epath.Path:
    """Return where a host's exit cause goes."""
    return folder / host_exit(rank)


def home(output: epath.Path, shard: Shard) -> epath.Path:
    """Return the folder in which attempts are kept: the output directory, or the shard's own."""
    return output if shard == WHOLE else output / shard_folder(shard.index)


def open_attempt(output: epath.Path, beginning: Beginning) -> epath.Path:
    """Return the folder of an attempt; rank 0 makes it."""
    folder = folder_of(output, beginning.number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ATTEMPT).write_text(json.dumps(asdict(beginning) | {"time": time.time()}))
    return folder


def next_number(output: epath.Path) -> int:
    """Return the number of the attempt that comes after all there are."""
    return max(_numbers(output), default=0) + 1


def end_crash_loop(output: epath.Path, beginning: Beginning) -> None:
    """Compare an attempt that begins with those before it.

    Raises:
        WillFailAgain: it is the one after `MAX_IN_VAIN` of the same run that got nowhere.
    """
    in_vain = []
    for number in sorted(_numbers(output), reverse=True):
        if number >= beginning.number:
            continue
        folder = folder_of(output, number)
        if not _got_nowhere(folder, beginning):
            return
        in_vain.append(f"  {folder.name}: {_causes(folder)}")
        if len(in_vain) == MAX_IN_VAIN:
            raise WillFailAgain(
                f"{MAX_IN_VAIN} attempts in a row got no further than {beginning.progress}:\n"
                + "\n".join(reversed(in_vain))
                + f"\nread their logs under {folder.parent}, and submit again once the cause is gone"
            )


def folder_of(output: epath.Path, number: int) -> epath.Path:
    """Return the folder of an attempt."""
    return output / attempt_folder(number)


def _numbers(output: epath.Path) -> list[int]:
    attempts = output / ATTEMPTS
    names = [path.name for path in attempts.iterdir()] if attempts.exists() else []
    return [number for name in names if (number := attempt_number(name)) is not None]


def _got_nowhere(folder: epath.Path, beginning: Beginning) -> bool:
    began = _read(folder / ATTEMPT)
    ends = list(_ends(folder))
    same = (began.get("run"), began.get("progress")) == (beginning.run, beginning.progress)
    return same and not any(end["disrupted"] or end["code"] == 0 for end in ends)


def _causes(folder: epath.Path) -> str:
    causes = {end["cause"].strip().splitlines()[-1] for end in _ends(folder) if end["cause"].strip()}
    return "; ".join(sorted(causes))[:300] or "no host left a word"


def _ends(folder: epath.Path) -> Iterator[dict[str, Any]]:
    yield from (end for path in folder.glob("host-*.exit.json") if (end := _read(path)))


def _read(path: epath.Path) -> dict[str, Any]:
    """Return what a file holds; nothing if a kill cut it short."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}
