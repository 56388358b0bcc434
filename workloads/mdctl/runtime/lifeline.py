"""The line between a process and the one that started it.

The parent's end closes when the parent ends, however it ends, and the child then leaves too: no worker outlives the
terminal or the pod's first process. Over the same line a worker says where its exit cause belongs (`record`), so that
the parent can write it down if the worker no longer can; and with which code it leaves (`code`), before it parts from
its peers: once they have gone, JAX may abort it.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from mdctl.spec.environment import LIFELINE

SECONDS_TO_HEAR = 5.0


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

    def tell(self, **facts: str | int) -> None:
        """Say something to the parent, if there still is one."""
        with suppress(OSError):
            self._end.sendall(json.dumps(facts).encode() + b"\n")

    def heard(self) -> dict[str, Any]:
        """Return all that the child has said, once it has ended."""
        self._end.settimeout(SECONDS_TO_HEAR)  # what it left behind may hold its end
        heard = b""
        with suppress(TimeoutError):
            while piece := self._end.recv(65536):
                heard += piece
        return {name: fact for line in heard.splitlines() for name, fact in json.loads(line).items()}

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
