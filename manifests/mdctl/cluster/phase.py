"""The phase of a job, and one sentence that says why it is so.

    Suspended    somebody stopped it                       Running      every host's worker runs
    Queued       it waits for its turn in a queue          Restarting   an attempt failed, and is being cleared away
    Pending      pods are missing, or have no node         Completed    every host is done
    Starting     every pod has a node, not all run         Failed       it will not be tried again
    Deleting     it is being taken off the cluster

A job whose hosts work alone runs as soon as one of them does.
"""

from dataclasses import dataclass
from enum import StrEnum

from mdctl.cluster.client import Object
from mdctl.cluster.conditions import Condition, find_condition, holds
from mdctl.cluster.control import is_out_of_time
from mdctl.cluster.failure import HostFailure
from mdctl.cluster.host_state import HostState
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.why import plural


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


@dataclass(frozen=True)
class Counts:
    """The hosts of the newest attempt and those left of others, how many of how many are ready, and restarts."""

    hosts: tuple[HostState, ...]
    leaving: tuple[HostState, ...]
    ready: int
    total: int
    restarts: int

    @property
    def active(self) -> int:
        """Return how many pods have not ended."""
        return sum(each.is_active for each in (*self.hosts, *self.leaving))


def phase_of(snapshot: Snapshot, counts: Counts, failure: HostFailure | None) -> tuple[Phase, str]:
    """Return the phase, and one sentence that says why it is so."""
    jobset = snapshot.jobset
    failed = str(failure) if failure else ""
    stopping = f"{plural(counts.active, 'pod')} yet to stop" if counts.active else ""
    still = stopping and f"; {stopping}"
    if "deletionTimestamp" in jobset["metadata"]:
        return Phase.DELETING, stopping or "it is being deleted"
    if _has_ended(jobset, "Completed"):
        return Phase.COMPLETED, "every host is done"
    if _has_ended(jobset, "Failed"):
        return Phase.FAILED, _how_failed(snapshot, failed)
    if jobset["spec"].get("suspend"):
        return _suspended(snapshot, still)
    if (restart := _restart(snapshot, counts, failed, still)) is not None:
        return restart
    return _started(snapshot, counts)


def count_pods(snapshot: Snapshot, state: str) -> int:
    """Return how many pods are `active`, `ready` or `succeeded`, as its Jobs say; without them, as the JobSet says."""
    if snapshot.jobs:
        return sum(int(each.get("status", {}).get(state) or 0) for each in snapshot.jobs)
    told = {each.get("name"): each for each in snapshot.jobset.get("status", {}).get("replicatedJobsStatus") or ()}
    return sum(
        int(told.get(each["name"], {}).get(state) or 0) * int(each["template"]["spec"].get("parallelism", 1))
        for each in snapshot.jobset["spec"].get("replicatedJobs") or ()
    )


def _how_failed(snapshot: Snapshot, failed: str) -> str:
    said = find_condition(snapshot.jobset, "Failed")
    message = said.message if said else "the JobSet failed"
    if said is None or said.reason != "ReachedMaxRestarts":
        return failed or message
    most = int(snapshot.jobset["spec"].get("failurePolicy", {}).get("maxRestarts") or 0)
    return f"{failed or message}; its {most} restarts are used up" if most else failed or message


def _suspended(snapshot: Snapshot, still: str) -> tuple[Phase, str]:
    workload, name = snapshot.known_workload, snapshot.name
    if snapshot.queue is None:
        return Phase.SUSPENDED, f"it was suspended, and `mdctl resume {name}` lets it go on{still}"
    if is_out_of_time(workload):
        more = f"`mdctl resubmit {name} restarts.maxHours=HOURS` gives it more"
        return Phase.SUSPENDED, f"its hours are used up (restarts.maxHours); {more}{still}"
    if workload is not None and workload["spec"].get("active") is False:
        evicted = find_condition(workload, "Evicted")
        why = f" ({evicted.message.rstrip('.')})" if evicted and evicted.reason != "Deactivated" else ""
        return Phase.SUSPENDED, f"it was suspended{why}, and `mdctl resume {name}` lets it go on{still}"
    again = f", again: {_brief(evicted)}" if (evicted := _evicted(workload)) else ""
    return Phase.QUEUED, f"it waits in queue {snapshot.queue}{again}{still}"


def _restart(snapshot: Snapshot, counts: Counts, failed: str, still: str) -> tuple[Phase, str] | None:
    """Return what is said while an attempt is cleared away; None where it is not."""
    ending = [each for each in snapshot.jobs if holds(each, "FailureTarget") or holds(each, "Failed")]
    going = [each for each in snapshot.jobs if "deletionTimestamp" in each["metadata"]]
    if ending:
        last = any(_is_final(each) for each in ending)
        why = failed or "a host failed"
        return (Phase.RUNNING, f"it ends: {why}{still}") if last else (Phase.RESTARTING, f"{why}{still}")
    if counts.leaving or going or (counts.restarts and not (snapshot.jobs or counts.ready)):
        return Phase.RESTARTING, f"attempt {counts.restarts + 1} begins when the one before is gone{still}"
    return None


def _is_final(job: Object) -> bool:
    """Whether the JobSet will not try again what failed so: see `mdctl.render.failure_policy`."""
    found = find_condition(job, "FailureTarget") or find_condition(job, "Failed")
    if found is None or found.reason in ("FailedIndexes", "MaxFailedIndexesExceeded"):
        return found is not None
    return found.reason == "PodFailurePolicy" and found.message.endswith("rule at index 0")


def _started(snapshot: Snapshot, counts: Counts) -> tuple[Phase, str]:
    attempt = f"attempt {counts.restarts + 1}: " if counts.restarts else ""
    hosts = plural(counts.total, "host")
    if counts.ready < counts.total:
        if counts.ready and _is_fan_out(snapshot.jobset):
            return Phase.RUNNING, f"{counts.ready} of {hosts} run, or are done"
        if missing := _missing(snapshot, counts):
            return Phase.PENDING, f"{attempt}{missing}"
    if (trouble := _trouble(counts)) is not None:
        return Phase.RUNNING, f"{attempt}{trouble}"
    all_begun = not snapshot.whole and not counts.hosts  # of these only pods that have not begun are known
    if counts.ready < counts.total and not all_begun:
        return Phase.STARTING, f"{attempt}{counts.ready} of {hosts} run"
    return Phase.RUNNING, f"{attempt}{hosts} run"


def _missing(snapshot: Snapshot, counts: Counts) -> str | None:
    """Return how many pods are missing, or have no node."""
    there = (
        sum(each.is_active or each.is_done for each in counts.hosts)
        if snapshot.whole
        else count_pods(snapshot, "active") + count_pods(snapshot, "succeeded")
    )
    homeless = sum(each.node is None for each in counts.hosts)
    if there < counts.total:
        return f"{counts.total - there} of {plural(counts.total, 'pod')} are not there yet"
    return f"{homeless} of {plural(counts.total, 'pod')} have no node yet" if homeless else None


def _trouble(counts: Counts) -> str | None:
    """Return what befalls a host that has begun."""
    for host in counts.hosts:
        if host.leaves and host.is_active:
            return f"host {host.number} is told to stop: {host.disruption or 'its pod is deleted'}"
        if host.is_lost:
            return f"host {host.number} is on node {host.node}, which does not answer"
    return None


def _is_fan_out(jobset: Object) -> bool:
    """Whether each host works alone, so that some may run while others wait."""
    groups = jobset["spec"].get("replicatedJobs") or ()
    return any("backoffLimitPerIndex" in each["template"]["spec"] for each in groups)


def _has_ended(jobset: Object, how: str) -> bool:
    return jobset.get("status", {}).get("terminalState") == how or holds(jobset, how)


def _evicted(workload: Object | None) -> Condition | None:
    found = find_condition(workload, "Evicted")
    return found if found and found.holds else None


def _brief(condition: Condition) -> str:
    return "it was preempted" if condition.reason == "Preempted" else condition.message.rstrip(".")
