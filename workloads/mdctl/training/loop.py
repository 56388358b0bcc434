"""The loop over training steps: what happens when, and nothing of what it is.

Steps are dispatched ahead of the device, and their metrics read when they are `IN_FLIGHT` steps old: the device never
waits for the host, and a step that went wrong is seen soon. Before a state is saved or evaluated every step behind it
has been read, so a checkpoint never holds what came of a loss that was not a number, and the metrics on disk always
reach as far as the checkpoint.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import jax

from mdctl.spec.errors import WillFailAgain
from mdctl.training.step import Metrics

IN_FLIGHT = 2
STEPS_TIMED = 10


class Finished(NamedTuple):
    """A step that the devices have finished; `step` counts those taken, so the first is 1."""

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    seconds: float | None  # mean of the last few; None for the first, which also compiled


@dataclass(frozen=True, kw_only=True)
class Course:
    """From which step to which, and how often what is done between; None is never."""

    first: int
    last: int
    save_every: int
    evaluate_every: int | None


@dataclass(frozen=True, kw_only=True)
class Hooks[State]:
    """What the loop calls. `go_on` before each step: False ends the loop; the others with the number of steps taken."""

    go_on: Callable[[], bool]
    report: Callable[[Finished], None]
    save: Callable[[int, State], None]
    evaluate: Callable[[int, State], None]


def train[State, Batch](
    take_step: Callable[[State, Batch], tuple[State, Metrics]],
    state: State,
    batches: Iterator[Batch],
    course: Course,
    hooks: Hooks[State],
) -> tuple[State, int]:
    """Take the steps of a course; return the state after the last that was begun, which is saved, and its number.

    Raises:
        WillFailAgain: a loss or gradient is not a number, or the first gradient is 0.
    """
    step, saved = course.first, course.first
    running = _Running(hooks.report)
    while step < course.last and hooks.go_on():
        state, metrics = take_step(state, next(batches))
        step += 1
        running.add(step, metrics)
        # A run that is killed while it evaluates comes back to the step before, and evaluates again.
        if course.evaluate_every is not None and step % course.evaluate_every == 0:
            with running.interrupted():
                hooks.evaluate(step, state)
        if step % course.save_every == 0 or step == course.last:
            with running.interrupted():
                hooks.save(step, state)
            saved = step
    with running.interrupted():
        if step > saved:
            hooks.save(step, state)
    return state, step


class _Running:
    """Steps that were dispatched and not yet read, oldest first; and a clock that stands still between steps."""

    def __init__(self, report: Callable[[Finished], None]) -> None:
        self._report = report
        self._steps: deque[tuple[int, Metrics]] = deque()
        self._read_at: deque[float] = deque(maxlen=STEPS_TIMED + 1)
        self._interrupted = 0.0

    def add(self, step: int, metrics: Metrics) -> None:
        """Add the step just dispatched, and read those that are old enough."""
        self._steps.append((step, metrics))
        while len(self._steps) > IN_FLIGHT:
            self._read()

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """Wait for all steps and read them; the body is not counted as their time."""
        while self._steps:
            self._read()
        began = time.monotonic()
        yield
        self._interrupted += time.monotonic() - began

    def _read(self) -> None:
        step, metrics = self._steps.popleft()
        values = jax.device_get(metrics)
        loss, grad_norm = float(values["loss"]), float(values["grad_norm"])
        if not values["finite"]:
            raise WillFailAgain(
                f"step {step}: the loss is {loss} and the gradient's norm {grad_norm}; "
                f"lower the learning rate, clip the gradient, or look at the data of this step"
            )
        if not grad_norm and not self._read_at:
            raise WillFailAgain(
                f"step {step}: every gradient is 0 (the loss is {loss}), so nothing is learned: what is trained lies "
                f"before layers of zeros, as in a network that nobody has trained. Take published weights "
                f"(model.initialisation=weights), or train those layers too (training.lora.targets)"
            )
        self._report(Finished(step, loss, grad_norm, float(values["learning_rate"]), self._seconds()))

    def _seconds(self) -> float | None:
        """Return the mean time of the last steps; several are read at once before an interruption."""
        self._read_at.append(time.monotonic() - self._interrupted)
        timed = len(self._read_at) - 1
        return (self._read_at[-1] - self._read_at[0]) / timed if timed else None
