"""The process that computes: listens for signals first, then imports the rest and runs the attempt.

Started by `mdctl.runtime.supervisor`; it leaves through `Departure` only.
"""

import os
import sys
from pathlib import Path

from mdctl.runtime.departure import Departure
from mdctl.runtime.exits import Exit
from mdctl.runtime.lifeline import Lifeline
from mdctl.runtime.signals import listen
from mdctl.runtime.stop import Stop
from mdctl.spec.errors import Preempted


def main(job_file: str) -> None:
    """Run one attempt of a job on this host; does not return."""
    departure = Departure()
    stop = Stop(lambda reason: departure.leave(Exit(Preempted.exit_code, f"asked to stop ({reason}) before step one")))
    listen(stop.request, lambda reason: os._exit(Preempted.exit_code))
    lifeline = Lifeline.inherited(os.environ)
    if lifeline is not None:
        lifeline.watch(lambda: os._exit(1))
    with departure:
        from mdctl.runtime.attempt import run_attempt

        run_attempt(Path(job_file), departure, stop, lifeline)


if __name__ == "__main__":
    main(sys.argv[1])
