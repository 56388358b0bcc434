"""What has become of a job: a pure function from its objects to what a person wants to know.

    Suspended    somebody stopped it                       Running      every host's worker runs
    Queued       it waits for its turn in a queue          Restarting   an attempt failed, and is being cleared away
    Pending      pods are missing, or have no node         Completed    every host is done
    Starting     every pod has a node, not all run         Failed       it will not be tried again
    Deleting     it is being taken off the cluster

The phase is a summary for display; conditions, hosts and counts are what decisions are made from. Where only some of
the pods were observed, the Jobs' own counts stand for the rest.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mdctl.cluster.client import Object
from mdctl.cluster.conditions import Condition, conditions, find_condition, holds, moment
from mdctl.cluster.failure import HostFailure, first_failure
from mdctl.cluster.host_state import HostState, read_host
from mdctl.cluster.snapshot import Snapshot


class Phase(StrEnum):
    """A summary, for display."""

    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    COMPLETED = "Completed"
    FAILED = "Failed"
    DELETING = "Deleting"


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
    phase, reason = _phase(snapshot, _Counts(hosts, leaving, ready, total, restarts), failure)
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


@dataclass(frozen=True)
class _Counts:
    hosts: tuple[HostState, ...]
    leaving: tuple[HostState, ...]
    ready: int
    total: int
    restarts: int

    @property
    def still(self) -> int:
        """Return how many pods have been told to stop and have not."""
        return sum(each.is_active and each.leaves for each in (*self.hosts, *self.leaving))


def _phase(snapshot: Snapshot, counts: _Counts, failure: HostFailure | None) -> tuple[Phase, str]:
    """Return the phase, and one sentence that says why it is so."""
    jobset = snapshot.jobset
    failed = str(failure) if failure else ""
    still = f"{_pods(counts.still)} yet to stop" if counts.still else ""
    if "deletionTimestamp" in jobset["metadata"]:
        return Phase.DELETING, still or "it is being deleted"
    if _has_ended(jobset, "Completed"):
        return Phase.COMPLETED, "every host is done"
    if _has_ended(jobset, "Failed"):
        said = find_condition(jobset, "Failed")
        return Phase.FAILED, failed or (said.message if said else "") or "the JobSet failed"
    if jobset["spec"].get("suspend"):
        return _suspended(snapshot, still)
    if (restart := _restart(snapshot, counts, failed)) is not None:
        return restart
    return _started(snapshot, counts)


def _suspended(snapshot: Snapshot, still: str) -> tuple[Phase, str]:
    workload, name = snapshot.known_workload, snapshot.name
    still = still and f"; {still}"
    if snapshot.queue is None:
        return Phase.SUSPENDED, f"it was suspended, and `mdctl resume {name}` lets it go on{still}"
    if workload is not None and workload["spec"].get("active") is False:
        evicted = find_condition(workload, "Evicted")
        why = f" ({evicted.message.rstrip('.')})" if evicted and evicted.reason != "Deactivated" else ""
        return Phase.SUSPENDED, f"it was suspended{why}, and `mdctl resume {name}` lets it go on{still}"
    again = f", again: {_brief(evicted)}" if (evicted := _evicted(workload)) else ""
    return Phase.QUEUED, f"it waits in queue {snapshot.queue}{again}{still}"


def _restart(snapshot: Snapshot, counts: _Counts, failed: str) -> tuple[Phase, str] | None:
    """Return what is said while an attempt is cleared away; None where it is not."""
    ending = [each for each in snapshot.jobs if holds(each, "FailureTarget") or holds(each, "Failed")]
    going = [each for each in snapshot.jobs if "deletionTimestamp" in each["metadata"]]
    still = f"; {_pods(counts.still)} yet to stop" if counts.still else ""
    if ending:
        last = any(_is_final(each) for each in ending)
        why = failed or "a host failed"
        return (Phase.RUNNING, f"it ends: {why}{still}") if last else (Phase.RESTARTING, f"{why}{still}")
    if counts.leaving or going or (counts.restarts and not snapshot.jobs):
        return Phase.RESTARTING, f"attempt {counts.restarts + 1} begins when the one before is gone{still}"
    return None


def _is_final(job: Object) -> bool:
    """Whether the JobSet will not try again what failed so: see `mdctl.render.failure_policy`."""
    found = find_condition(job, "FailureTarget") or find_condition(job, "Failed")
    return found is not None and found.reason == "PodFailurePolicy" and found.message.endswith("rule at index 0")


def _started(snapshot: Snapshot, counts: _Counts) -> tuple[Phase, str]:
    attempt = f"attempt {counts.restarts + 1}: " if counts.restarts else ""
    there = sum(each.is_active or each.is_done for each in counts.hosts) if snapshot.whole else _active(snapshot)
    homeless = sum(each.node is None for each in counts.hosts)
    if there < counts.total:
        return Phase.PENDING, f"{attempt}{counts.total - there} of {_pods(counts.total)} are not there yet"
    if homeless:
        return Phase.PENDING, f"{attempt}{homeless} of {_pods(counts.total)} have no node yet"
    if counts.ready < counts.total:
        lost = [each for each in counts.hosts if each.is_lost]
        if lost:
            return Phase.RUNNING, f"{attempt}host {lost[0].number} is on node {lost[0].node}, which does not answer"
        return Phase.STARTING, f"{attempt}{counts.ready} of {_hosts_noun(counts.total)} run"
    return Phase.RUNNING, f"{attempt}{_hosts_noun(counts.total)} run"


def _hosts(snapshot: Snapshot) -> list[HostState]:
    """Return every pod as the host that it is or was, the newest of each place last."""
    found = [host for pod in snapshot.pods if (host := read_host(snapshot.jobset, pod)) is not None]
    return sorted(found, key=lambda host: (host.number, host.attempt, str(host.created), host.is_active))


def _ready(snapshot: Snapshot, hosts: tuple[HostState, ...]) -> int:
    if snapshot.whole:
        return sum(each.is_ready or each.is_done for each in hosts)
    return sum(_count(each, "ready") + _count(each, "succeeded") for each in snapshot.jobs)


def _active(snapshot: Snapshot) -> int:
    return sum(_count(each, "active") + _count(each, "succeeded") for each in snapshot.jobs)


def _count(job: Object, name: str) -> int:
    return int(job.get("status", {}).get(name) or 0)


def _total(jobset: Object) -> int:
    groups = jobset["spec"].get("replicatedJobs") or ()
    return sum(int(each.get("replicas", 1)) * int(each["template"]["spec"].get("parallelism", 1)) for each in groups)


def _has_ended(jobset: Object, how: str) -> bool:
    return jobset.get("status", {}).get("terminalState") == how or holds(jobset, how)


def _ended(jobset: Object) -> datetime | None:
    found = next((each for each in conditions(jobset) if each.type in ("Completed", "Failed") and each.holds), None)
    return found.since if found else None


def _evicted(workload: Object | None) -> Condition | None:
    found = find_condition(workload, "Evicted")
    return found if found and found.holds else None


def _brief(condition: Condition) -> str:
    return "it was preempted" if condition.reason == "Preempted" else condition.message.rstrip(".")


def _pods(count: int) -> str:
    return f"{count} pod" if count == 1 else f"{count} pods"


def _hosts_noun(count: int) -> str:
    return f"{count} host" if count == 1 else f"{count} hosts"
