"""The other hosts of the job: a key-value store that rank 0 serves, and what is built on it.

Any host may set a key; getting a key waits until somebody has. It works while devices are busy or stuck, from
any thread, so everything that is not mathematics goes through it. A job of one host has the same store in memory.
Nothing here imports JAX: `mdctl.runtime.connect` does.
"""

import json
import threading
from dataclasses import dataclass, field
from typing import Any, Protocol


class Store(Protocol):
    """Keys to wait for, and barriers that are passed once; every method raises PeerLost once rank 0 is gone."""

    def set(self, key: str, value: str) -> None:
        """Set a key, or replace its value."""
        ...

    def get(self, key: str, seconds: float) -> str | None:
        """Return the key's value once it is there; None if it is not within `seconds`."""
        ...

    def barrier(self, name: str, seconds: float) -> bool:
        """Wait for all hosts; return whether they came within `seconds`."""
        ...

    def close(self) -> None:
        """Wait for all hosts, and end the service."""
        ...


class MemoryStore:
    """The store of `count` hosts that are threads of one process, or of the only one."""

    def __init__(self, count: int = 1) -> None:
        self._count = count
        self._values: dict[str, str] = {}
        self._arrived: dict[str, int] = {}
        self._changed = threading.Condition()

    def set(self, key: str, value: str) -> None:
        """Set a key, or replace its value."""
        with self._changed:
            self._values[key] = value
            self._changed.notify_all()

    def get(self, key: str, seconds: float) -> str | None:
        """Return the key's value once it is there; None if it is not within `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: key in self._values, seconds)
            return self._values.get(key)

    def barrier(self, name: str, seconds: float) -> bool:
        """Wait for all hosts; return whether they came within `seconds`."""
        with self._changed:
            self._arrived[name] = self._arrived.get(name, 0) + 1
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._arrived[name] >= self._count, seconds)

    def close(self) -> None:
        """Do nothing: the hosts are threads."""


@dataclass(frozen=True, kw_only=True)
class Peers:
    """All hosts of the job, as one of them sees them."""

    rank: int = 0
    count: int = 1
    store: Store = field(default_factory=MemoryStore)

    def share(self, name: str, value: Any, seconds: float) -> Any:
        """Return rank 0's value on every host (others pass None); JSON types only.

        Raises:
            TimeoutError: rank 0 has said nothing in time.
        """
        if self.rank == 0:
            self.store.set(name, json.dumps(value))
            return value
        return self._get(name, 0, seconds)

    def gather(self, name: str, value: Any, seconds: float) -> list[Any]:
        """Return every host's value, by rank; JSON types only.

        Raises:
            TimeoutError: some host has said nothing in time.
        """
        self.store.set(f"{name}/{self.rank}", json.dumps(value))
        return [self._get(f"{name}/{rank}", rank, seconds) for rank in range(self.count)]

    def _get(self, key: str, rank: int, seconds: float) -> Any:
        text = self.store.get(key, seconds)
        if text is None:
            raise TimeoutError(f"host {rank} has not said {key!r} within {seconds:g} s")
        return json.loads(text)
