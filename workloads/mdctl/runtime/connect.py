"""How hosts find each other: `jax.distributed` from the pod's environment.

N hosts are one job or the job fails: no error is swallowed and no host goes on alone.
"""

import socket
import time
from collections.abc import Mapping
from typing import Any

import jax

# JAX offers its coordination service to libraries under this name only.
from jax._src.distributed import global_state

from mdctl.runtime.peers import Peers
from mdctl.spec.environment import Place
from mdctl.spec.errors import MdctlError, PeerLost

SECONDS_BETWEEN_TRIES = 1.0
SECONDS_PER_TRY = 5.0

PLATFORM_VARIABLES = {
    "TPU_WORKER_ID": "host_index",
    "MEGASCALE_SLICE_ID": "slice_index",
    "MEGASCALE_NUM_SLICES": "num_slices",
}
"""What GKE's webhook injects, and which part of our place it must equal: stale values hang the first collective."""


class CoordinationStore:
    """The store of `jax.distributed`, served by rank 0."""

    def __init__(self) -> None:
        self._client: Any = global_state.client

    def set(self, key: str, value: str) -> None:
        """Set a key, or replace its value."""
        try:
            self._client.key_value_set(f"mdctl/{key}", value, allow_overwrite=True)
        except jax.errors.JaxRuntimeError as error:
            raise PeerLost(str(error)) from error

    def get(self, key: str, seconds: float) -> str | None:
        """Return the key's value once it is there; None if it is not within `seconds`."""
        try:
            return str(self._client.blocking_key_value_get(f"mdctl/{key}", int(seconds * 1000)))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" in str(error):
                return None
            raise PeerLost(str(error)) from error

    def barrier(self, name: str, seconds: float) -> bool:
        """Wait for all hosts; return whether they came within `seconds`."""
        try:
            self._client.wait_at_barrier(f"mdctl/{name}", int(seconds * 1000))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" in str(error):
                return False
            raise PeerLost(str(error)) from error
        return True

    def close(self) -> None:
        """Wait for all hosts, and end the service."""
        try:
            jax.distributed.shutdown()
        except jax.errors.JaxRuntimeError as error:
            raise PeerLost(str(error)) from error


def connect(place: Place, seconds: float) -> Peers:
    """Find all hosts of the job within `seconds`, and return them.

    Raises:
        PeerLost: some host did not come.
    """
    if place.coordinator is None:
        return Peers()
    deadline = time.monotonic() + seconds
    if place.rank:
        _await_coordinator(place.coordinator, deadline)
    # The service would take SIGTERM for itself; `mdctl.runtime.signals` has it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator_address=place.coordinator,
            num_processes=place.num_processes,
            process_id=place.rank,
            initialization_timeout=max(1, int(deadline - time.monotonic())),
            coordinator_bind_address=_bind_address(place.coordinator),
            cluster_detection_method="deactivate",
        )
    except jax.errors.JaxRuntimeError as error:
        raise PeerLost(f"the {place.num_processes} hosts did not find each other: {error}") from error
    return Peers(rank=place.rank, count=place.num_processes, store=CoordinationStore())


def check_platform(place: Place, environment: Mapping[str, str]) -> None:
    """Compare what the platform injected with our own place.

    Raises:
        MdctlError: they differ.
    """
    for name, ours in PLATFORM_VARIABLES.items():
        theirs, mine = environment.get(name), str(getattr(place, ours))
        if theirs not in (None, "", mine):
            raise MdctlError(f"the platform says {name}={theirs}, but this host's {ours} is {mine}; restart the job")


def _await_coordinator(address: str, deadline: float) -> None:
    """Try to reach rank 0 until it answers; every try resolves its name anew."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=SECONDS_PER_TRY).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise PeerLost(f"rank 0 does not answer at {address}: {error}") from error
        time.sleep(SECONDS_BETWEEN_TRIES)


def _bind_address(address: str) -> str | None:
    """Keep a job of this machine on the loopback interface; None lets JAX listen on all."""
    return address if address.startswith("127.") else None
