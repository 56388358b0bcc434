import errno
import signal

import pytest

from mdctl.runtime.exits import Exit, from_exception, from_process
from mdctl.spec.errors import OutputError, PeerLost, Preempted, SpecError, WillFailAgain


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpecError("wrong"), 2),
        (OutputError("full"), 2),
        (OSError(errno.ENOSPC, "No space left on device"), 2),
        (PermissionError(errno.EACCES, "Permission denied"), 2),
        (WillFailAgain("NaN"), 3),
        (MemoryError(), 3),
        (RuntimeError("RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm"), 3),
        (Preempted("asked to stop"), 75),
        (PeerLost("gone"), 76),
        (RuntimeError("UNAVAILABLE: Failed to send RPC to coordination service"), 76),
        (ValueError("UNKNOWN: Gloo all-reduce failed: Connection reset by peer"), 76),
        (ZeroDivisionError("division by zero"), 1),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), 1),
    ],
)
def test_the_code_of_an_exception(error, code):
    assert from_exception(error, num_hosts=2).code == code


def test_a_job_of_one_host_cannot_lose_a_peer():
    assert from_exception(RuntimeError("UNAVAILABLE: no such bucket"), num_hosts=1).code == 1


def test_only_an_agreed_stop_lets_hosts_wait_for_each_other():
    assert from_exception(Preempted("saved"), 2).agreed
    assert not from_exception(WillFailAgain("NaN"), 2).agreed


@pytest.mark.parametrize(
    ("returncode", "facts", "code"),
    [
        (0, {}, 0),
        (3, {}, 3),
        (-signal.SIGABRT, {"peer_lost": True}, 76),
        (-signal.SIGSEGV, {"peer_lost": True}, 76),
        (-signal.SIGSEGV, {}, 139),
        (-signal.SIGABRT, {}, 134),
        (-signal.SIGKILL, {}, 137),
        (-signal.SIGTERM, {"stopping": True}, 75),
        (-signal.SIGTERM, {}, 143),
        (-signal.SIGSEGV, {"stopping": True}, 139),
    ],
)
def test_the_code_of_a_process_that_is_gone(returncode, facts, code):
    everything = {"stopping": False, "peer_lost": False} | facts
    assert from_process(returncode, **everything).code == code


def test_a_kill_that_nobody_sent_points_to_memory():
    end = from_process(-signal.SIGKILL, stopping=False, peer_lost=False)
    assert end == Exit(137, "killed by SIGKILL (out of memory, if nobody sent it)")
