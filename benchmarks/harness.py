"""Candidates measured side by side in one run: interleaved, so that a busy machine slows all of them alike.

A benchmark names its first candidate as the reference; every ratio is of best times, the ones least disturbed.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Action = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One candidate's rounds, in seconds."""

    name: str
    rounds: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.rounds)

    @property
    def median(self) -> float:
        return sorted(self.rounds)[len(self.rounds) // 2]


def measure(candidates: Mapping[str, Action], rounds: int, warmup: int = 1) -> list[Timing]:
    """Time every candidate once a round, after rounds that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + rounds):
        for name, action in candidates.items():
            start = time.perf_counter()
            action()
            if turn >= warmup:
                taken[name].append(time.perf_counter() - start)
    return [Timing(name=name, rounds=tuple(times)) for name, times in taken.items()]


def report(title: str, timings: Sequence[Timing], limits: Mapping[str, float]) -> bool:
    """Print every candidate beside the first, and say whether each ratio is within its limit."""
    print(f"{title}: best and median of {len(timings[0].rounds)}, ratio to {timings[0].name!r}")
    width = max(len(timing.name) for timing in timings)
    kept = True
    for timing in timings:
        ratio, limit = timing.best / timings[0].best, limits.get(timing.name)
        verdict = "" if limit is None else f"  limit {limit:g}: {'kept' if ratio <= limit else 'MISSED'}"
        kept = kept and (limit is None or ratio <= limit)
        print(f"  {timing.name:<{width}}  {timing.best:8.3f} s  {timing.median:8.3f} s  {ratio:6.2f}x{verdict}")
    return kept


def command(*words: str) -> Action:
    """Return an action that runs a program and throws its output away; the program must succeed."""

    def run() -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return run


def leave(kept: bool) -> None:
    """End the benchmark, with code 1 where a limit was missed."""
    sys.exit(0 if kept else 1)
