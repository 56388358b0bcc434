"""Processes that outlive whoever starts them, each with a log: known by id and start time, so none other is killed.

They are spawned in sessions of their own. A test may start one too: nothing waits for it, and nothing warns of it.
"""

import os
import random
import signal
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

LAST_LINES = 12

_never = threading.Event()
_ports = random.SystemRandom()


class DiedError(Exception):
    """A component ended where it should run; says its last lines."""


@dataclass(frozen=True)
class Process:
    """One program; `started` tells it from another one that has the same id later, and is 0 if it ended at once."""

    name: str
    pid: int
    started: int
    log: str

    @property
    def alive(self) -> bool:
        """Say whether it still runs."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return 0 < self.started == _start_time(self.pid)

    def check(self) -> None:
        """Raise DiedError, with what it said last, unless it runs."""
        if not self.alive:
            lines = Path(self.log).read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            raise DiedError("\n".join([f"{self.name} ended; its log {self.log} closes with:", *lines]))


def start(name: str, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a program whose output goes to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, file, 1), (os.POSIX_SPAWN_DUP2, file, 2)]
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    try:
        pid = os.posix_spawnp(
            argv[0], list(argv), {**os.environ, **(environment or {})}, file_actions=[nothing, *actions], setsid=True
        )
    finally:
        os.close(file)
    return Process(name, pid, _start_time(pid), str(log))


def stop(processes: Iterable[Process], patience: float = 10.0) -> None:
    """Ask processes to end, together; kill those that have not after some seconds."""
    running = [process for process in processes if process.alive]
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for process in running:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        deadline = monotonic() + seconds
        while running and monotonic() < deadline:
            running = [process for process in running if process.alive]
            _never.wait(0.05 if running else 0)


def free_port() -> int:
    """Return a port of this machine that nobody listens at, and that no connection is given for its own end."""
    while True:
        port = _ports.randrange(15_000, 32_000)
        with socket.socket() as candidate, suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return port


def _start_time(pid: int) -> int:
    """Return when a process started, in ticks since the machine did; 0 where there is none that runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    ended = fields[0] == "Z" and threads < 2  # with other threads it still has its ports
    return 0 if ended else int(fields[19])
