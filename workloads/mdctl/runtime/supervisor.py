"""The first process of a pod: starts the worker, passes signals on, and sees how it ended.

It imports nothing heavy, so it answers signals from its first moments, and it is there to read the ends that Python
itself never sees: a kill for want of memory, a crash in a runtime, and above all JAX's client, which aborts the whole
process when rank 0 is gone: that must read as 76 (a lost peer) and not as 134 (a crash).
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from mdctl.runtime.exits import FATAL_PEER_LOSS, Exit, from_process
from mdctl.runtime.lifeline import Lifeline, environment_of, line
from mdctl.runtime.signals import STOP_SIGNALS

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Each step on CPUs takes gigabytes from the system and returns them. In huge pages it gets them with a fifteenth of
the page faults, and a step takes four fifths of the time. C libraries other than glibc do not read this."""

KEPT_LINES = 40
SECONDS_TO_DRAIN = 5.0


def supervise(arguments: Sequence[str], heard: list[int]) -> int:
    """Run the worker with these arguments, and return the exit code to leave with.

    `heard` holds the stop signals that came before.
    """
    return Supervisor(arguments, heard).run()


class Supervisor:
    """One worker process and what is heard of it."""

    def __init__(self, arguments: Sequence[str], heard: list[int]) -> None:
        self._command = [sys.executable, "-X", "faulthandler", "-m", "mdctl.runtime.worker", *arguments]
        self._worker: subprocess.Popen[bytes] | None = None
        self._signals = heard
        self._peer_lost = False
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    def run(self) -> int:
        """Run the worker to its end."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._pass_on)
        if parent := Lifeline.inherited(os.environ):
            parent.watch(self._abandon)
        lifeline, theirs = line()
        with theirs:
            self._worker = worker = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**HUGE_PAGES, **environment_of(theirs)},
                pass_fds=[theirs.fileno()],
                process_group=0,  # the terminal sends its signals to us alone
            )
        for early in self._signals:
            worker.send_signal(early)
        assert worker.stderr is not None
        relay = threading.Thread(target=self._relay, args=(worker.stderr,), daemon=True)
        relay.start()
        returncode = worker.wait()
        relay.join(SECONDS_TO_DRAIN)
        said = lifeline.heard()
        if "code" in said:  # it had written down how it ends: whatever ended it while it took leave is of no account
            return int(said["code"])
        end = from_process(returncode, stopping=bool(self._signals), peer_lost=self._peer_lost)
        if returncode < 0:
            self._record(end, said.get("record", ""))
        return end.code

    def _pass_on(self, number: int, frame: object) -> None:
        self._signals.append(number)
        if self._worker is not None:
            self._worker.send_signal(number)

    def _abandon(self) -> None:
        """Leave with the worker, as nobody waits for either."""
        if self._worker is not None:
            self._worker.kill()
        os._exit(1)

    def _relay(self, stderr: IO[bytes]) -> None:
        for raw in stderr:
            text = raw.decode(errors="replace").rstrip("\n")
            self._last_lines.append(text)
            self._peer_lost |= FATAL_PEER_LOSS in text
            sys.stderr.buffer.write(raw)
            sys.stderr.buffer.flush()

    def _record(self, end: Exit, record: str) -> None:
        """Write down how the worker ended, as it could not."""
        print(f"mdctl: {end.cause}", file=sys.stderr)
        if record:
            facts = {"code": end.code, "cause": end.cause, "disrupted": bool(self._signals)}
            with suppress(OSError):  # a full disk must not replace the exit code
                _write(record, json.dumps(facts | {"last_lines": list(self._last_lines)}))


def _write(path: str, text: str) -> None:
    if "://" not in path:
        Path(path).write_text(text)
        return
    from etils import epath

    epath.Path(path).write_text(text)
