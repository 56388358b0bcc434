"""Asks a cluster until it gives the answer that a test expects: controllers take their time."""

import threading
from time import monotonic

from mdctl.cluster.pending import why_pending
from mdctl.cluster.snapshot import observe
from mdctl.cluster.state import summarise
from tests.cluster.plane.api import PATIENCE

_never = threading.Event()


def until_state(cluster, name, condition, patience=PATIENCE):
    """Return a job's snapshot and state, as soon as the condition holds of the state."""

    def ask():
        snapshot = observe(cluster, name)
        state = summarise(snapshot)
        return condition(state), (snapshot, state)

    return _until(ask, patience)


def until_why(cluster, name, words, patience=PATIENCE):
    """Return why a job does not run, as soon as the sentence has these words."""

    def ask():
        snapshot = observe(cluster, name)
        found = why_pending(cluster, snapshot, summarise(snapshot))
        return found is not None and words in found.sentence, found

    return _until(ask, patience)


def names(why):
    """Return the names in the table of a reason."""
    return [row["name"] for row in why.table]


def _until(ask, patience):
    deadline = monotonic() + patience
    while True:
        good, found = ask()
        if good:
            return found
        assert monotonic() < deadline, f"after {patience:g} s still: {found}"
        _never.wait(0.2)
