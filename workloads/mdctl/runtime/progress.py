"""How far the work has come: a bar where somebody is looking; where nobody is, nothing, or a line now and then."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdctl.runtime.log import shared

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 60.0

Advance = Callable[[int, int], None]
"""Called with the number of pieces done so far, and of how many."""

Tell = Callable[[str, int, int], None]
"""Called with what is done to each piece as well."""


@contextmanager
def progress_bar(console: Console, what: str) -> Iterator[Advance]:
    """Show a bar on a terminal while the body runs."""
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with _bar(console, what) as tell:
        yield lambda done, total: tell(what, done, total)


@contextmanager
def progress_report(console: Console, what: str) -> Iterator[Tell]:
    """Show a bar on a terminal, which starts anew with each kind of piece; elsewhere log a line now and then."""
    if not console.is_terminal:
        yield Lines()
        return
    with _bar(console, what) as tell:
        yield tell


class Lines:
    """Logs how far the work has come, once in `SECONDS_BETWEEN_LINES` at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged = clock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Hear of one more piece."""
        if self._clock() - self._logged >= SECONDS_BETWEEN_LINES:
            self._logged = self._clock()
            logger.info("%s %d of %d", what, done, total, extra=shared())


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def tell(what: str, done: int, total: int) -> None:
            if progress.tasks[0].description != what:
                progress.reset(task)  # the time that is left is another's
            progress.update(task, description=what, completed=done, total=total)

        yield tell
