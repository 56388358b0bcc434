"""What the programs of a benchmark have in common: they take a step when they are told to."""

import sys
import time
from collections.abc import Callable


def answer(steps: dict[str, Callable[[], None]]) -> None:
    """Take each step once, say "ready", then take the step that each line names and say how many seconds it took.

    Each is taken twice, and the second timed, as within a loop: while a program waits, the system takes back the memory
    that its last step gave up, and a machine that is itself virtual takes twice as long to hand it out again.
    """
    for step in steps.values():
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        step = steps[line.strip()]
        step()
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)
