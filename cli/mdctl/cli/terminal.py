"""This terminal lent to a command elsewhere: every key goes there, and its size is told there."""

import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mdctl.spec.errors import MdctlError

Resize = Callable[[int, int], None]

PIECE = 64 * 1024
"""Bytes read at once."""


def has_terminal() -> bool:
    """Whether somebody sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def raw_terminal(resize: Resize | None) -> Iterator[None]:
    """Let keys through as they are while the body runs, and tell the size, first and at each change; None: neither."""
    if resize is None:
        yield
        return

    def tell(*_: object) -> None:
        with suppress(MdctlError, OSError):  # the connection may be gone: its reader says so
            resize(*os.get_terminal_size(sys.stdout.fileno()))

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    handler = signal.signal(signal.SIGWINCH, tell)
    try:
        tty.setraw(keyboard)
        tell()
        yield
    finally:
        signal.signal(signal.SIGWINCH, handler)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def feed(send: Callable[[bytes], None], end: Callable[[], None]) -> None:
    """Pass on what is typed or piped in, in a thread of its own, until its end."""

    def run() -> None:
        with suppress(MdctlError, OSError):  # as above; or nothing can be read here
            while content := os.read(sys.stdin.fileno(), PIECE):
                send(content)
            end()

    threading.Thread(target=run, name="mdctl-stdin", daemon=True).start()
