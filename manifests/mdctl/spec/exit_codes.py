"""What exit codes mean: those that we leave with, and those that a signal makes of a process."""

import signal

TIMED_OUT = 124
INTERRUPTED = 130

EXIT_CODES = {
    0: "done",
    1: "failed: a fault in mdctl or in the machine",
    2: "the request cannot work as written",
    3: "the job failed and would fail again: out of memory, NaN, a crash loop",
    75: "preempted, and saved",
    76: "another host was lost, or nothing moved",
    TIMED_OUT: "not in the time that `mdctl wait --timeout` gave",
    INTERRUPTED: "interrupted",
}

_SIGNALS = {
    signal.SIGABRT: "aborted, as native code does at a fault",
    signal.SIGBUS: "a bad memory access, or a full /dev/shm",
    signal.SIGFPE: "an arithmetic fault in native code",
    signal.SIGILL: "an instruction that this processor does not have",
    signal.SIGKILL: "killed: out of memory, or out of grace",
    signal.SIGSEGV: "a bad memory access in native code",
    signal.SIGTERM: "told to stop, and did not save",
}


def meaning(code: int) -> str:
    """Return what a worker's exit code means, in a few words."""
    if code in EXIT_CODES:
        return EXIT_CODES[code]
    if code - 128 in list(signal.Signals):
        found = signal.Signals(code - 128)
        return f"{_SIGNALS.get(found, 'ended by a signal')} ({found.name})"
    return "crashed"
