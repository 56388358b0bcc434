"""What has become of a job: a pure function from its objects to what a person wants to know.

Conditions, hosts and counts are what decisions are made from; the phase is a summary for display. Where only some of
the pods were observed, the Jobs' own counts stand for the rest.
"""

from dataclasses import dataclass
from datetime import datetime

from mdctl.cluster.client import Object
from mdctl.cluster.conditions import Condition, conditions, moment
from mdctl.cluster.failure import HostFailure, first_failure
from mdctl.cluster.host_state import HostState, read_host
from mdctl.cluster.phase import Counts, Phase, count_pods, phase_of
from mdctl.cluster.snapshot import Snapshot

__all__ = ["JobState", "Phase", "summarise"]


@dataclass(frozen=True, kw_only=True)
class JobState:
    """One job, as its objects tell."""

    name: str
    namespace: str
    phase: Phase
    reason: str
    """One sentence."""
    restarts: int
    counted: int
    """Restarts that count against `max_restarts`."""
    max_restarts: int
    ready: int
    """Hosts that run, or are done."""
    total: int
    hosts: tuple[HostState, ...]
    """Those of the newest attempt that have a pod which was looked at, in order."""
    leaving: tuple[HostState, ...]
    """Those of the attempt before that are still there."""
    created: datetime | None
    started: datetime | None
    """When the newest attempt began."""
    ended: datetime | None
    first_failure: HostFailure | None
    conditions: tuple[Condition, ...]

    @property
    def is_over(self) -> bool:
        """Return whether it will not run again."""
        return self.phase in (Phase.COMPLETED, Phase.FAILED)


def summarise(snapshot: Snapshot) -> JobState:
    """Return what has become of a job."""
    jobset, status = snapshot.jobset, snapshot.jobset.get("status", {})
    restarts = int(status.get("restarts") or 0)
    found = _hosts(snapshot)
    hosts = tuple({host.number: host for host in found if host.attempt >= restarts}.values())
    leaving = tuple(host for host in found if host.attempt < restarts)
    ready, total = _ready(snapshot, hosts), _total(jobset)
    failure = first_failure(snapshot, found)
    phase, reason = phase_of(snapshot, Counts(hosts, leaving, ready, total, restarts), failure)
    starts = [time for each in snapshot.jobs if (time := moment(each.get("status", {}).get("startTime")))]
    return JobState(
        name=snapshot.name,
        namespace=snapshot.namespace,
        phase=phase,
        reason=reason,
        restarts=restarts,
        counted=int(status.get("restartsCountTowardsMax") or 0),
        max_restarts=int(jobset["spec"].get("failurePolicy", {}).get("maxRestarts") or 0),
        ready=ready,
        total=total,
        hosts=hosts,
        leaving=leaving,
        created=moment(jobset["metadata"].get("creationTimestamp")),
        started=min(starts, default=None),
        ended=_ended(jobset),
        first_failure=failure,
        conditions=(*conditions(jobset), *conditions(snapshot.known_workload)),
    )


def _hosts(snapshot: Snapshot) -> list[HostState]:
    """Return every pod as the host that it is or was, the newest of each place last."""
    found = [host for pod in snapshot.pods if (host := read_host(snapshot.jobset, pod)) is not None]
    return sorted(found, key=lambda host: (host.number, host.attempt, str(host.created), host.is_active))


def _ready(snapshot: Snapshot, hosts: tuple[HostState, ...]) -> int:
    if snapshot.whole:
        return sum(each.is_ready or each.is_done for each in hosts)
    return count_pods(snapshot, "ready") + count_pods(snapshot, "succeeded")


def _total(jobset: Object) -> int:
    groups = jobset["spec"].get("replicatedJobs") or ()
    return sum(int(each.get("replicas", 1)) * int(each["template"]["spec"].get("parallelism", 1)) for each in groups)


def _ended(jobset: Object) -> datetime | None:
    found = next((each for each in conditions(jobset) if each.type in ("Completed", "Failed") and each.holds), None)
    return found.since if found else None
