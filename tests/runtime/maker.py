"""Run a worker that is killed (SIGKILL) at one point of making samples: `maker.py POINT job.yaml`.

file-N      between the Nth sample's file and its record
record-N    once the Nth sample's record is there
list        before the manifest is written
"""

import os
import signal
import sys

from mdctl.inference import generate, samples


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def before_record(number):
    swap, calls = samples.swap, []

    def swap_or_die(*arguments):
        calls.append(arguments)
        return die() if len(calls) == number else swap(*arguments)

    samples.swap = swap_or_die


def after_record(number):
    swap, calls = samples.swap, []

    def swap_and_die(*arguments):
        calls.append(swap(*arguments))
        return die() if len(calls) == number else calls[-1]

    samples.swap = swap_and_die


if __name__ == "__main__":
    point, job = sys.argv[1:]
    kind, _, number = point.partition("-")
    if kind == "list":
        generate.write_manifest = die  # type: ignore[attr-defined] # as `generate` calls it
    else:
        {"file": before_record, "record": after_record}[kind](int(number))
    from mdctl.runtime.worker import main

    main(job)
