"""SIGTERM and SIGINT, seen at once whatever the main thread is doing.

Python runs signal handlers between two bytecodes of the main thread, which never come while it waits in a collective.
The C half of a handler writes the signal's number to a wake-up file descriptor immediately; a thread reads it there.
"""

import signal
import socket
import threading
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(on_first: Callable[[str], None], on_second: Callable[[str], None]) -> None:
    """Call one function with the name of the first stop signal, the other with that of the second; in a thread."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    install()
    threading.Thread(
        target=_relay, args=(reader, writer, on_first, on_second), name="mdctl-signals", daemon=True
    ).start()


def install() -> None:
    """Take the stop signals (again: accelerator runtimes put handlers of their own in place when they start)."""
    for number in STOP_SIGNALS:
        signal.signal(number, _wake)


def _wake(number: int, frame: object) -> None:
    """Do nothing: the number is on the wake-up descriptor already."""


def _relay(
    reader: socket.socket,
    writer: socket.socket,  # kept open as long as the thread lives
    on_first: Callable[[str], None],
    on_second: Callable[[str], None],
) -> None:
    seen = 0
    while True:
        number = reader.recv(1)[0]
        if number in STOP_SIGNALS:
            (on_second if seen else on_first)(signal.Signals(number).name)
            seen += 1
