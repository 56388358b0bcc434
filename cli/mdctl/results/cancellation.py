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
    by: str | None = None  # as the cluster knows them; None: it did not say


def write_cancellation(store: Store, run: str, by: str | None = None) -> None:
    """Say that a run was cancelled, just now."""
    who = {} if by is None else {"by": by}
    store.write(CANCELLED, json.dumps({"run": run, "time": time.time(), **who}).encode())


def read_cancellation(store: Store) -> Cancellation | None:
    """Return what says that a job was cancelled; None if it was not."""
    found = as_object(store.read(CANCELLED))
    if not {"run", "time"} <= found.keys():
        return None
    by = found.get("by")
    return Cancellation(run=str(found["run"]), time=float(found["time"]), by=None if by is None else str(by))
