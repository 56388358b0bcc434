"""The line between a process and the one that started it.

The parent's end closes when the parent ends, however it ends, and the child then leaves too: no worker outlives the
terminal or the pod's first process. Over the same line a worker says where its exit cause belongs, so that the parent
can write it down if the worker no longer can.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Self

from mdctl.spec.environment import LIFELINE


class Lifeline:
    """One end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def inherited(cls, environment: Mapping[str, str]) -> Self | None:
        """Return the end that the parent gave this process; None if it was started by hand."""
        number = environment.get(LIFELINE)
        return None if number is None else cls(socket.socket(fileno=int(number)))

    def watch(self, on_end: Callable[[], None]) -> None:
        """Call a function, in a thread, when the other end is gone."""
        threading.Thread(target=self._watch, args=(on_end,), name="mdctl-lifeline", daemon=True).start()

    def tell(self, text: str) -> None:
        """Say something to the parent."""
        self._end.sendall(text.encode())

    def heard(self) -> str:
        """Return all that the child has said, once it has ended."""
        heard = b"".join(iter(lambda: self._end.recv(65536), b""))
        return heard.decode()

    def _watch(self, on_end: Callable[[], None]) -> None:
        with suppress(ConnectionError):  # reset, if the parent ended before it heard all
            while self._end.recv(1):
                pass
        on_end()


def line() -> tuple[Lifeline, socket.socket]:
    """Return the parent's end, and the child's, to be inherited and closed here."""
    ours, theirs = socket.socketpair()
    return Lifeline(ours), theirs


def environment_of(theirs: socket.socket) -> dict[str, str]:
    """Return the variables that tell a child which descriptor is its end."""
    return dict(os.environ) | {LIFELINE: str(theirs.fileno())}
