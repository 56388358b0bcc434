"""What the programs of a benchmark have in common: they take a step when they are told to."""

import sys
import time
from collections.abc import Callable


def answer(steps: dict[str, Callable[[], None]]) -> None:
    """Take each step twice, say "ready", then take the step that each line names and say how many seconds it took.

    Twice, since a step may compile again for what its first call left.
    """
    for step in steps.values():
        step()
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        steps[line.strip()]()
        print(time.perf_counter() - start, flush=True)
