"""The failure that began it: of all hosts that ended badly, the one that explains the others.

A host that was told to stop ended for that reason, and one that left with 76 had lost another: both are consequences.
Of what is left the first to end counts. Where its pod is gone, its Job's condition still names it and its exit code.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mdctl.cluster.client import Object
from mdctl.cluster.conditions import find_condition
from mdctl.cluster.host_state import HostState
from mdctl.cluster.hosts import hosts_per_job
from mdctl.cluster.snapshot import Snapshot
from mdctl.spec.errors import PeerLost
from mdctl.spec.exit_codes import meaning

_NAMED = re.compile(
    r"Container \S+ for pod \S*-(?P<slice>\d+)-(?P<index>\d+)-\w{5} failed with exit code (?P<code>\d+)"
)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class HostFailure:
    """How a host failed."""

    number: int
    slice: int
    index: int
    pod: str | None
    node: str | None
    exit_code: int | None
    """None where the pod was taken away before its worker ended."""
    meaning: str
    lines: tuple[str, ...]
    """What the worker said last."""
    time: datetime | None

    def __str__(self) -> str:
        left = "was taken away" if self.exit_code is None else f"left with {self.exit_code}"
        return f"host {self.number} {left}: {self.meaning}"


def first_failure(snapshot: Snapshot, hosts: Iterable[HostState]) -> HostFailure | None:
    """Return the failure that explains the others; None where no host has failed."""
    failed = [each for each in hosts if each.exit_code or each.phase == "Failed"]
    if failed:
        return _of_host(min(failed, key=_rank))
    return next((found for job in snapshot.jobs if (found := _of_job(snapshot, job)) is not None), None)


def meaning_of(host: HostState) -> str:
    """Return what the end of a host means."""
    if host.cause == "OOMKilled":
        return "out of memory: the machine's, not the accelerator's"
    if host.exit_code is None or (host.exit_code and host.disruption):
        code = "" if host.exit_code is None else f"{meaning(host.exit_code)}; "
        return f"{code}{host.disruption or host.cause or 'no cause is known'}"
    return meaning(host.exit_code)


def _rank(host: HostState) -> tuple[bool, bool, bool, datetime, int]:
    told = host.leaves and host.disruption is None
    return told, host.exit_code is None, host.exit_code == PeerLost.exit_code, host.ended or _NEVER, host.number


def _of_host(host: HostState) -> HostFailure:
    return HostFailure(
        number=host.number,
        slice=host.slice,
        index=host.index,
        pod=host.pod,
        node=host.node,
        exit_code=host.exit_code,
        meaning=meaning_of(host),
        lines=host.lines,
        time=host.ended,
    )


def _of_job(snapshot: Snapshot, job: Object) -> HostFailure | None:
    """Return the failure that a Job's condition names."""
    found = find_condition(job, "FailureTarget") or find_condition(job, "Failed")
    match = _NAMED.match(found.message) if found and found.holds else None
    if found is None or match is None:
        return None
    return HostFailure(
        number=int(match["slice"]) * hosts_per_job(snapshot.jobset) + int(match["index"]),
        slice=int(match["slice"]),
        index=int(match["index"]),
        pod=None,
        node=None,
        exit_code=int(match["code"]),
        meaning=meaning(int(match["code"])),
        lines=(),
        time=found.since,
    )
