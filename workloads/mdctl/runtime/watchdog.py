"""Ends a process in which nothing moves any more.

The main thread says what it is about to do and how long that may take; a thread checks. A collective that waits for a
host that is gone never returns, so only another thread can tell.
"""

import threading
import time
from collections.abc import Callable


class Watchdog:
    """Calls `on_hang` with a sentence once what was expected has not happened in time."""

    def __init__(self, on_hang: Callable[[str], None]) -> None:
        self._on_hang = on_hang
        self._changed = threading.Condition()
        self._what = ""
        self._limit = 0.0
        self._deadline: float | None = None
        threading.Thread(target=self._watch, name="mdctl-watchdog", daemon=True).start()

    def expect(self, what: str, within: float) -> None:
        """Say what comes next, and within how many seconds; this replaces what was expected before."""
        with self._changed:
            self._what, self._limit = what, within
            self._deadline = time.monotonic() + within
            self._changed.notify()

    def rest(self) -> None:
        """Expect nothing."""
        with self._changed:
            self._deadline = None
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while True:
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            message = f"{self._what} has not finished within {self._limit:g} s"
        self._on_hang(message)
