"""What says in an output directory that somebody cancelled the job: the cluster keeps nothing of it.

It names the run that it stopped, so it says nothing of one that was submitted later to go on.
"""

import json
import time
from dataclasses import dataclass

from mdctl.results.store import Store, as_object
from mdctl.spec.outputs import CANCELLED


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """A job that was cancelled."""

    run: str  # as in the records of its attempts
    time: float


def write_cancellation(store: Store, run: str) -> None:
    """Say that a run was cancelled, just now."""
    store.write(CANCELLED, json.dumps({"run": run, "time": time.time()}).encode())


def read_cancellation(store: Store) -> Cancellation | None:
    """Return what says that a job was cancelled; None if it was not."""
    found = as_object(store.read(CANCELLED))
    return Cancellation(run=str(found["run"]), time=float(found["time"])) if {"run", "time"} <= found.keys() else None
