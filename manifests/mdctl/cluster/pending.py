"""Why a job does not run yet: the queue, the controllers, the scheduler, the nodes and the kubelets in one answer.

    observe      what the job's phase calls for, and no more
    explain      a pure function of what was observed

What may not be read is named in the answer, which is then of the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mdctl.cluster.admission import why_not_admitted
from mdctl.cluster.client import Cluster
from mdctl.cluster.creation import failed_tries, why_not_made
from mdctl.cluster.events import Event, observe_events
from mdctl.cluster.host_state import HostState
from mdctl.cluster.pools import Pools, observe_pools
from mdctl.cluster.queues import QueueView, observe_queue
from mdctl.cluster.readable import NotReadable, look
from mdctl.cluster.scheduling import why_not_placed
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.starting import why_not_started
from mdctl.cluster.state import JobState, Phase
from mdctl.cluster.why import Row, Why, plural


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What there is around a job, as far as its phase calls for it."""

    queue: QueueView | None = None
    pools: Pools | NotReadable | None = None
    events: Sequence[Event] | NotReadable = ()
    """Warnings, and that the cluster grows."""


def why_pending(cluster: Cluster, snapshot: Snapshot, state: JobState) -> Why | None:
    """Return why a job does not run yet; None where it does, or is over."""
    return explain(snapshot, state, observe_surroundings(cluster, snapshot, state))


def observe_surroundings(cluster: Cluster, snapshot: Snapshot, state: JobState) -> Surroundings:
    """Return what there is around a job."""
    if state.phase is Phase.QUEUED and snapshot.queue is not None:
        unseen = snapshot.workload is None
        queue = observe_queue(cluster, snapshot.namespace, snapshot.queue, priorities=unseen)
        return Surroundings(queue=queue, events=_told_of_workload(cluster, snapshot))
    if state.phase not in (Phase.PENDING, Phase.STARTING):
        return Surroundings()
    events = look("events", lambda: observe_events(cluster, snapshot, fields="type=Warning"))
    if not isinstance(events, NotReadable):
        events += observe_events(cluster, snapshot, fields="reason=TriggeredScaleUp")
    unplaced = any(host.unscheduled for host in state.hosts)
    return Surroundings(events=events, pools=observe_pools(cluster) if unplaced else None)


def _told_of_workload(cluster: Cluster, snapshot: Snapshot) -> list[Event] | NotReadable:
    if (workload := snapshot.known_workload) is None:
        return []
    fields = f"type=Warning,involvedObject.kind=Workload,involvedObject.name={workload['metadata']['name']}"
    return look("events", lambda: observe_events(cluster, snapshot, fields=fields))


def explain(snapshot: Snapshot, state: JobState, around: Surroundings) -> Why | None:
    """Return why a job does not run yet; None where it does, or is over."""
    match state.phase:
        case Phase.QUEUED if around.queue is not None:
            known = () if isinstance(around.events, NotReadable) else around.events
            return why_not_admitted(snapshot, around.queue, known)
        case Phase.PENDING:
            return _pending(snapshot, state, around)
        case Phase.STARTING:
            return why_not_started(snapshot.namespace, state.hosts, around.events)
        case Phase.RESTARTING | Phase.DELETING:
            return _stopping(snapshot, state)
        case Phase.SUSPENDED | Phase.QUEUED:
            return Why(sentence=state.reason, unread=_hidden(snapshot))
        case _:
            return None


def _pending(snapshot: Snapshot, state: JobState, around: Surroundings) -> Why:
    unplaced = [host for host in state.hosts if host.node is None]
    missing = state.total - sum(host.is_active or host.is_done for host in state.hosts)
    tries = _since_it_began(state, around.events)
    if missing and (failed_tries(tries) or not unplaced):
        return why_not_made(snapshot, tries, missing)
    found = why_not_placed(snapshot, unplaced, around.pools)
    grows = [] if isinstance(around.events, NotReadable) else around.events
    growing = next((each.message for each in reversed(grows) if each.reason == "TriggeredScaleUp"), None)
    if growing:
        return Why(sentence=f"the cluster is adding nodes for it ({growing})", table=found.table, unread=found.unread)
    return found


def _since_it_began(state: JobState, events: Sequence[Event] | NotReadable) -> Sequence[Event] | NotReadable:
    """Return the events of the newest attempt."""
    if isinstance(events, NotReadable) or state.started is None:
        return events
    return [each for each in events if each.last >= state.started]


def _stopping(snapshot: Snapshot, state: JobState) -> Why:
    """Return what is still to stop before the next attempt, or the end."""
    pod = snapshot.jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    grace = int(pod.get("terminationGracePeriodSeconds", 30))
    left = [host for host in (*state.leaving, *state.hosts) if host.is_active]
    lost = [host for host in left if host.is_lost]
    said = f"; {plural(len(left), 'pod')} may take up to {grace} s to save" if left else ""
    if lost:
        said += f"; node {lost[0].node} does not answer, and its pod goes when the cluster gives it up"
    return Why(sentence=state.reason + said, table=tuple(map(_row, left)))


def _row(host: HostState) -> Row:
    stops = "stops" if host.leaves else "is to stop"
    return {"name": host.number, "node": host.node, "attempt": host.attempt + 1, "state": f"{host.container}, {stops}"}


def _hidden(snapshot: Snapshot) -> tuple[str, ...]:
    return (str(snapshot.workload),) if isinstance(snapshot.workload, NotReadable) else ()
