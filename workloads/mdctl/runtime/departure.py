"""The one way out of a worker: say why, tell the peers, and leave by `os._exit`.

An ordinary exit would wait in JAX's shutdown barrier for peers that may be stuck, and the barrier's failure would
replace the exit code. So whichever thread finds the reason first leaves for all of them. With more than one host the
reason goes to the peers, who leave with the same code at once: the failure policy then reads the same from every pod,
and nobody waits in a collective until it is killed.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from mdctl.runtime.exits import Exit, from_exception
from mdctl.runtime.peers import Peers
from mdctl.spec.errors import PeerLost

SECONDS_TO_HEAR = 5.0
"""How long rank 0 waits until its peers have heard of a failure."""
SECONDS_PER_WAIT = 3600.0

Hook = Callable[[Exit, BaseException | None], None]


class Departure:
    """Leaves the process once, from whichever thread comes first. `hooks` run before, in order.

    `announce` is told the code before the peers are. As a context manager it leaves with what ends its body: code 0, or
    that of the exception.
    """

    def __init__(
        self, terminate: Callable[[int], object] = os._exit, announce: Callable[[int], object] = lambda code: None
    ) -> None:
        self._terminate = terminate
        self._announce = announce
        self._once = threading.Lock()
        self._peers = Peers()
        self.hooks: list[Hook] = []

    def join(self, peers: Peers) -> None:
        """From now on tell these peers, and leave when one of them does."""
        self._peers = peers
        if peers.count > 1:
            threading.Thread(target=self._listen, name="mdctl-departure", daemon=True).start()

    def leave(self, end: Exit, error: BaseException | None = None) -> None:
        """Leave the process; does not return, unless `terminate` does."""
        if not self._once.acquire(blocking=False):
            threading.Event().wait()
        try:
            for hook in self.hooks:
                with suppress(OSError):  # a full disk must not keep us
                    hook(end, error)
            self._announce(end.code)
            if self._peers.count > 1:
                self._part(end)
        finally:
            self._terminate(end.code)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave(Exit(0, "done", agreed=True) if error is None else from_exception(error, self._peers.count), error)

    def _part(self, end: Exit) -> None:
        """Tell the peers of a failure; after an end that all hosts agreed on, wait for them instead."""
        try:
            if end.agreed:
                self._peers.store.close()
                return
            if end.origin is None:
                self._peers.store.set("farewell", json.dumps([self._peers.rank, end.code, end.cause]))
            if self._peers.rank:
                self._peers.store.set(f"heard/{self._peers.rank}", "")
            else:
                self._await_peers()
        except PeerLost:
            pass  # rank 0 is gone already

    def _await_peers(self) -> None:
        """Stay until the others have heard: with rank 0 goes the store, and with that JAX aborts them."""
        deadline = time.monotonic() + SECONDS_TO_HEAR
        for rank in range(1, self._peers.count):
            self._peers.store.get(f"heard/{rank}", max(0.0, deadline - time.monotonic()))

    def _listen(self) -> None:
        try:
            while (text := self._peers.store.get("farewell", SECONDS_PER_WAIT)) is None:
                pass
        except PeerLost:
            return  # the job is over, or rank 0 is gone and JAX's runtime ends this process by itself
        origin, code, cause = json.loads(text)
        if origin != self._peers.rank:
            self.leave(Exit(code, f"host {origin}: {cause}", origin))
