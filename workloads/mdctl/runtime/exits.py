"""How an attempt ended: from an exception, or from a process that is gone, to an exit code and a cause.

The codes are those of `mdctl.spec.errors`; any other is a crash. Python never sees the worst ends (a signal, an abort
inside the runtime), so the supervisor reads those from outside.
"""

import errno
import signal
from dataclasses import dataclass

from mdctl.spec.errors import MdctlError, OutputError, PeerLost, Preempted, WillFailAgain

CRASHED = 1
"""What Python itself leaves with after an unexpected exception."""

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""The operating system's reasons that only the user can remove."""

OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "CUDA_ERROR_OUT_OF_MEMORY")
"""How XLA's allocators begin to say that a program does not fit."""

PEER_GONE = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "Gloo", "NCCL", "coordination service", "Connection reset")
"""What collectives, barriers and the coordination service say when another host is gone."""

FATAL_PEER_LOSS = "JAX distributed service detected fatal errors"
"""The line with which JAX's client aborts the process once it misses a peer."""

CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
"""How such a process ends: by the abort, or while faulthandler reads the stacks of threads that are still running."""


@dataclass(frozen=True)
class Exit:
    """An exit code and why."""

    code: int
    cause: str
    origin: int | None = None  # the host on which it began; None: this one
    agreed: bool = False  # all hosts end here together, in good health


def from_exception(error: BaseException, num_hosts: int) -> Exit:
    """Return the end that an exception means for a job of `num_hosts`."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MdctlError):
        return Exit(error.exit_code, str(error), agreed=isinstance(error, Preempted))
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return Exit(OutputError.exit_code, f"{text}; make room or give the output directory write access")
    if isinstance(error, MemoryError) or any(mark in text for mark in OUT_OF_MEMORY):
        return Exit(WillFailAgain.exit_code, f"out of memory: {text}")
    if num_hosts > 1 and any(mark in text for mark in PEER_GONE):
        return Exit(PeerLost.exit_code, f"lost a peer: {text}")
    return Exit(CRASHED, text)


def from_process(returncode: int, *, stopping: bool, peer_lost: bool) -> Exit:
    """Return the end that a worker process came to, as seen by its parent.

    `returncode` is negative for a signal; `stopping`: it had been told to stop; `peer_lost`: it wrote FATAL_PEER_LOSS.
    """
    if returncode >= 0:
        return Exit(returncode, "said by the worker itself")
    name = signal.Signals(-returncode).name
    if peer_lost and -returncode in CRASHES:
        return Exit(PeerLost.exit_code, f"lost a peer, and JAX's runtime aborted ({name})")
    if stopping and -returncode in (signal.SIGTERM, signal.SIGINT):
        return Exit(Preempted.exit_code, "asked to stop before anything had run")
    reason = " (out of memory, if nobody sent it)" if -returncode == signal.SIGKILL else ""
    return Exit(128 - returncode, f"killed by {name}{reason}")
