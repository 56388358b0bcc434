"""The process that computes: listens for signals first, then imports the rest and runs the attempt.

Started by `mdctl.runtime.supervisor`; it leaves through `Departure` only.
"""

import logging
import os
import sys
from pathlib import Path

from mdctl.runtime.departure import Departure
from mdctl.runtime.exits import CRASHED, Exit
from mdctl.runtime.lifeline import Lifeline
from mdctl.runtime.signals import listen
from mdctl.runtime.stop import Stop
from mdctl.spec.errors import Preempted

logger = logging.getLogger("mdctl.runtime.worker")  # this module runs as __main__


def main(job_file: str) -> None:
    """Run one attempt of a job on this host; does not return."""
    lifeline = Lifeline.inherited(os.environ)
    departure = Departure() if lifeline is None else Departure(announce=lambda code: lifeline.tell(code=code))
    departure.hooks.append(say)
    stop = Stop(lambda reason: departure.leave(Exit(Preempted.exit_code, f"asked to stop ({reason}) before step one")))
    listen(stop.request, lambda reason: os._exit(Preempted.exit_code))
    if lifeline is not None:
        lifeline.watch(lambda: os._exit(1))
    with departure:
        from mdctl.runtime.attempt import run_attempt

        run_attempt(Path(job_file), departure, stop, lifeline)


def say(end: Exit, error: BaseException | None) -> None:
    """Log how this host ends, with a traceback where nobody meant it to."""
    if end.code != 0:
        crash = error if end.code == CRASHED else None
        logger.error(end.cause, exc_info=crash, extra={"fields": {"exit": end.code}})


if __name__ == "__main__":
    main(sys.argv[1])
