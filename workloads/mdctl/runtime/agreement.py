"""When all hosts stop, once one of them has been told to.

Hosts run ahead of each other by as many steps as are in flight, so the host that gets the signal cannot just stop: the
others would wait in the next step's collectives. Every host counts the pieces of work (steps, videos) that it has
begun; all count alike, because they run one program. Once one asks, every host says its count, and with m the largest

    all hosts begin m pieces, and no more                                            (1)

While they compare, none begins another. A piece costs one lock: no message, no collective. (JAX's preemption service
works the same way, but takes SIGTERM from the process and knows no other reason to stop.)
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from mdctl.runtime.peers import Peers
from mdctl.spec.errors import PeerLost

SECONDS_TO_COMPARE = 60.0
SECONDS_PER_WAIT = 3600.0


class Agreement:
    """One host's part in agreeing when to stop. `on_lost` is told of a host that did not say its count."""

    def __init__(self, peers: Peers, on_lost: Callable[[str], None]) -> None:
        self._peers = peers
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._begun = 0
        self._last: int | None = None
        self.reason = ""
        threading.Thread(target=self._listen, name="mdctl-agreement", daemon=True).start()

    def ask(self, reason: str) -> None:
        """Ask all hosts to stop; from any thread, any number of times, on any number of hosts."""
        with suppress(PeerLost):  # rank 0 is gone, and this process ends by itself
            self._peers.store.set("stop", reason)

    def go_on(self) -> bool:
        """Return whether this host begins its next piece of work, which then counts; False once by (1) it must not."""
        with self._lock:
            if self._last is not None and self._begun >= self._last:
                return False
            self._begun += 1
            return True

    def _listen(self) -> None:
        try:
            while (reason := self._peers.store.get("stop", SECONDS_PER_WAIT)) is None:
                pass
        except PeerLost:
            return  # the job is over, or rank 0 is gone and JAX's runtime ends this process by itself
        self.reason = reason
        try:
            with self._lock:
                self._last = max(self._peers.gather("begun", self._begun, SECONDS_TO_COMPARE))
        except (TimeoutError, PeerLost) as error:
            self._on_lost(f"asked to stop ({reason}), but {error}")
