"""`--local`: the very worker that pods start, as one process or several of this machine.

Several find each other through `jax.distributed` on the loopback interface. Their logs come through here, a line at a
time with the host's number before it; signals go through here to them; and none outlives this process, however it
ends: each holds one end of a socket that closes with us.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from mdctl.spec.environment import LIFELINE, RUN, Place
from mdctl.spec.errors import PeerLost, Preempted, SpecError, UserError, WillFailAgain
from mdctl.spec.job import DiffusionJob, JobSpec
from mdctl.spec.log_record import words
from mdctl.spec.reading import job_yaml
from mdctl.spec.shard import Shard

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
KNOWN_CODES = (UserError.exit_code, WillFailAgain.exit_code, Preempted.exit_code, PeerLost.exit_code)
CRASHED = 1
CHATTER = "[Gloo] Rank"
"""What the collectives of CPUs print of themselves."""
SECONDS_TO_FOLLOW = 60.0
"""How long the other hosts may take to leave after one has failed; they usually need none of it."""


@dataclass(frozen=True)
class Host:
    """One worker and our end of its socket."""

    number: int
    process: subprocess.Popen[bytes]
    line: socket.socket


def run_local(job: DiffusionJob, write: Callable[[str], None] = print) -> int:
    """Run a job on this machine, on the processes and devices of its `cpu-PxM` slice, and return its exit code.

    Raises:
        SpecError: the slice is not one of this machine.
        UserError: JAX is not installed.
    """
    slice_ = job.spec.resolved_slice
    if slice_.kind != "cpu":
        raise SpecError(f"slice {job.spec.slice} is not on this machine; run it locally on cpu-1x1, or cpu-2x4")
    if find_spec("jax") is None:
        raise UserError("running here needs JAX; install it with: pip install 'mdctl[workloads]'")
    places = _places(job.spec)
    with tempfile.TemporaryDirectory(prefix="mdctl-") as folder:
        file = Path(folder, "job.yaml")
        file.write_text(job_yaml(job), encoding="utf-8")
        variables = {**os.environ, **job.spec.environment, RUN: uuid.uuid4().hex}
        hosts: list[Host] = []
        with _signals_to(hosts) as early:
            for place in places:
                host = _start(place, file, variables, direct=_is_watched(places))
                missed = tuple(early)
                hosts.append(host)
                for number in missed:
                    host.process.send_signal(number)
            return exit_code(_wait(hosts, write, None if job.spec.fans_out else SECONDS_TO_FOLLOW))


def exit_code(ends: Sequence[int]) -> int:
    """Return the job's exit code from those of its hosts, in the order in which they ended.

    The first failure counts, but a lost peer only if nobody says why it was lost.
    """
    failures = [code for code in ends if code != 0]
    first = next((code for code in failures if code != PeerLost.exit_code), PeerLost.exit_code if failures else 0)
    return first if first in (0, *KNOWN_CODES) else CRASHED


def _places(spec: JobSpec) -> list[Place]:
    num_slices, hosts = spec.num_slices, spec.resolved_slice.hosts
    if num_slices * hosts == 1:
        return [Place()]
    if spec.fans_out:
        return [Place(shard=Shard(index, spec.num_shards)) for index in range(spec.num_shards)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{probe.getsockname()[1]}"
    everywhere = Place(coordinator=coordinator, num_slices=num_slices, hosts_per_slice=hosts)
    return [
        replace(everywhere, slice_index=slice_index, host_index=host_index)
        for slice_index in range(num_slices)
        for host_index in range(hosts)
    ]


def _is_watched(places: Sequence[Place]) -> bool:
    """Return whether the only worker may draw its progress bar itself."""
    return len(places) == 1 and sys.stdout.isatty()


def _start(place: Place, file: Path, variables: Mapping[str, str], *, direct: bool) -> Host:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "mdctl.runtime", str(file)],
            env={**variables, **place.environment(), LIFELINE: str(theirs.fileno())},
            stdin=subprocess.DEVNULL,
            stdout=None if direct else subprocess.PIPE,
            stderr=None if direct else subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            process_group=0,  # the terminal sends its signals to us alone
        )
    return Host(place.number, process, ours)


@contextmanager
def _signals_to(hosts: Sequence[Host]) -> Iterator[list[int]]:
    """Pass stop signals on to the hosts while the body runs, and leave none behind; yields the signals so far."""
    heard: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        heard.append(number)
        for host in hosts:
            host.process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in STOP_SIGNALS}
    try:
        yield heard
    finally:
        for host in hosts:
            host.process.kill()
            host.process.wait()
            host.line.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(hosts: Sequence[Host], write: Callable[[str], None], patience: float | None) -> list[int]:
    """Relay what the hosts say until all have ended, and return their exit codes in that order.

    Once one has failed the others, unless they know nothing of it, follow within `patience` seconds.
    """
    ended: queue.Queue[int] = queue.Queue()
    for host in hosts:
        prefix = f"[{host.number}] " if len(hosts) > 1 else ""
        threading.Thread(target=_relay, args=(host, prefix, write, ended), daemon=True).start()
    codes: list[int] = []
    while len(codes) < len(hosts):
        try:
            codes.append(ended.get(timeout=patience if any(codes) else None))
        except queue.Empty:
            return codes
    return codes


def _relay(host: Host, prefix: str, write: Callable[[str], None], ended: "queue.Queue[int]") -> None:
    """Write what a host says, until nobody reads it any more; the host goes on in any case."""
    reader = write
    for raw in host.process.stdout or ():
        text = raw.decode(errors="replace").rstrip("\n")
        try:
            for line in [] if text.startswith(CHATTER) else words(text).splitlines():
                reader(prefix + line)
        except OSError:
            reader = _nobody
    ended.put(host.process.wait())


def _nobody(line: str) -> None:
    """Take a line that nobody reads."""
