"""One host's part in preparing a data set, under the eyes of the watchdog.

However large the data set, each piece of it has a time of its own: what is watched is the next clip. Waiting for other
hosts has no limit, because theirs are at work or noticed: one that is gone by JAX's heartbeat, one that hangs by its
own watchdog, which tells the others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from mdctl.data.cache import Share
from mdctl.runtime.peers import Peers
from mdctl.runtime.progress import Tell
from mdctl.runtime.watchdog import Watchdog
from mdctl.spec.errors import PeerLost

NO_LIMIT = 30 * 24 * 3600.0
"""Seconds; the coordination service wants a number."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Tells of each piece, which may take `patience` seconds, and waits for the other hosts."""

    peers: Peers
    watchdog: Watchdog
    patience: float
    show: Tell
    meetings: Iterator[int] = field(default_factory=count)

    @property
    def share(self) -> Share:
        """Return this host's share of the work."""
        return Share(self.peers.rank, self.peers.count, self.meet, self.tell)

    def tell(self, what: str, done: int, total: int) -> None:
        """Say that `done` of `total` pieces are done, and expect the next."""
        self.show(what, done, total)
        self.watchdog.expect(f"{what} {min(done + 1, total)} of {total}", self.patience)

    def meet(self) -> None:
        """Wait for all hosts."""
        with self.waiting():
            if not self.peers.store.barrier(f"data/{next(self.meetings)}", NO_LIMIT):
                raise PeerLost("another host has not prepared its part of the data set for a month")

    def first_says(self, name: str, value: Any) -> Any:
        """Return rank 0's value on every host (others pass None)."""
        with self.waiting():
            return self.peers.share(name, value, NO_LIMIT)

    def all_say(self, name: str, value: Any) -> list[Any]:
        """Return every host's value, by rank."""
        with self.waiting():
            return self.peers.gather(name, value, NO_LIMIT)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Expect nothing while others are waited for."""
        self.watchdog.rest()
        try:
            yield
        finally:
            self.watchdog.expect("preparing the data set", self.patience)
