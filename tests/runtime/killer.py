"""Run a worker that comes to grief at one point: `killer.py POINT job.yaml`.

step-N     SIGKILL once step N has been recorded
seal-N     SIGKILL in the save of step N, between its files and its commit
full-N     the disk is full at step N
"""

import errno
import os
import signal
import sys

from mdctl.runtime.metrics import Metrics
from mdctl.storage import checkpoints


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def after_step(number):
    record = Metrics.__call__

    def record_and_die(self, finished):
        record(self, finished)
        if finished.step == number:
            die()

    Metrics.__call__ = record_and_die


def inside_save(number):
    seal = checkpoints.write_seal

    def seal_or_die(folder):
        if folder.parent.name.partition(".")[0] == str(number) and folder.name.startswith("opt_state"):
            die()
        seal(folder)

    checkpoints.write_seal = seal_or_die


def disk_full(number):
    record = Metrics.__call__

    def record_or_fail(self, finished):
        if finished.step == number:
            raise OSError(errno.ENOSPC, "No space left on device", "/out/metrics.jsonl")
        record(self, finished)

    Metrics.__call__ = record_or_fail


if __name__ == "__main__":
    point, job = sys.argv[1:]
    kind, _, number = point.partition("-")
    {"step": after_step, "seal": inside_save, "full": disk_full}[kind](int(number))
    from mdctl.runtime.worker import main

    main(job)
