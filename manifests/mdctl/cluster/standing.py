"""Where a job stands in its queue: what Kueue said of it, who has the quota, and who comes first."""

from collections.abc import Sequence
from dataclasses import dataclass

from mdctl.cluster.amounts import noun, shown
from mdctl.cluster.client import Object
from mdctl.cluster.conditions import find_condition
from mdctl.cluster.events import Event
from mdctl.cluster.queues import (
    QueueView,
    flavors_of,
    holding,
    job_of,
    namespace_of,
    priority,
    requests,
    waiting,
)
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.verdicts import Tried, Verdict, preemptor, read_verdicts
from mdctl.cluster.why import Row, listed, plural

MOST_ROWS = 20
"""Of those who have the quota, and of those who come first."""


@dataclass(frozen=True)
class Standing:
    """A job in its queue; `events` are those of its Workload."""

    snapshot: Snapshot
    queue: QueueView
    events: Sequence[Event]

    @property
    def workload(self) -> Object:
        """Return the job's Workload; an empty one where there is none."""
        return self.snapshot.known_workload or {"metadata": {}, "spec": {}}

    @property
    def said(self) -> str:
        """Return what Kueue says of its last try."""
        found = find_condition(self.workload, "QuotaReserved")
        return found.message if found and not found.holds else ""

    def tried(self, *verdicts: Verdict) -> list[Tried]:
        """Return what Kueue found of the flavours that it tried; only some verdicts, where they are named.

        A try goes on behind the last flavour of the one before, and may so leave out the only one of the right nodes.
        Then events still tell of it.
        """
        found = read_verdicts(self.said)
        if found and all(each.verdict is Verdict.OTHER_NODES for each in found):
            told = [read_verdicts(each.message) for each in self.events if each.reason == "Pending"]
            more = [each for each in told if any(tried.verdict is not Verdict.OTHER_NODES for tried in each)]
            found = more[-1] if more else found
        return [each for each in found if not verdicts or each.verdict in verdicts]

    @property
    def cluster_queue(self) -> Object | None:
        """Return the ClusterQueue, where there is one and it may be read."""
        return None if isinstance(self.queue.cluster_queue, NotReadable) else self.queue.cluster_queue

    @property
    def flavors(self) -> set[str | None]:
        """Return the flavours that the queue has, as its LocalQueue tells."""
        status = (self.queue.local_queue or {}).get("status", {})
        return {each["name"] for each in status.get("flavorsReservation") or ()}

    @property
    def others(self) -> list[Object]:
        """Return the Workloads in the same ClusterQueue, this one among them."""
        return [] if isinstance(self.queue.workloads, NotReadable) else self.queue.workloads

    @property
    def before(self) -> list[Object]:
        """Return the Workloads that wait before this one."""
        line = waiting(self.others)
        place = next((index for index, each in enumerate(line) if self.is_this(each)), 0)
        return line[:place]

    def is_this(self, workload: Object) -> bool:
        """Return whether a Workload is the job's own."""
        return bool(workload["metadata"].get("uid") == self.workload["metadata"].get("uid"))

    def position(self) -> str:
        """Return who comes first, in half a sentence."""
        if isinstance(self.queue.workloads, NotReadable):
            return "who waits before it may not be read"
        before, mine = self.before, priority(self.workload)
        here = ", in this namespace," if "Workloads of other namespaces" in self.queue.hidden else ""
        if not before:
            return f"it is the next{here} in line" if here else "it is the next in line"
        higher = [each for each in before if priority(each) > mine]
        names = listed([self.named(each) for each in before])
        rank = f" ({len(higher)} of higher priority than its {mine})" if higher else ""
        strict = (self.cluster_queue or {"spec": {}})["spec"].get("queueingStrategy") == "StrictFIFO"
        passing = ", and nobody may pass another in this queue" if strict else ""
        jobs = f"{plural(len(before), 'job')}{here} {'waits' if len(before) == 1 else 'wait'}"
        return f"{jobs} before it{rank}: {names}{passing}"

    def line(self, flavor: str | None = None) -> tuple[Row, ...]:
        """Return who has the quota and who waits, in order, up to this job."""
        having = [each for each in holding(self.others) if flavor is None or flavor in flavors_of(each)]
        rows = [(each, "has quota") for each in having[:MOST_ROWS]]
        rows += [(each, "waits before it") for each in self.before[:MOST_ROWS]]
        return tuple(self._row(each, state) for each, state in [*rows, (self.workload, "this job")] if each["metadata"])

    def _row(self, workload: Object, state: str) -> Row:
        asked = [f"{shown(name, number)} {noun(name)}" for name, number in sorted(requests(workload).items())]
        return {
            "name": self.named(workload),
            "state": state,
            "priority": priority(workload),
            "asks for": ", ".join(asked),
            "since": workload["metadata"]["creationTimestamp"],
        }

    def flavor_rows(self) -> tuple[Row, ...]:
        """Return what Kueue found of each flavour that it tried."""
        return tuple({"name": each.flavor, "verdict": str(each)} for each in self.tried() if each.flavor)

    def again(self) -> str:
        """Return why it waits once more, where it has run before."""
        evicted = find_condition(self.workload, "Evicted")
        if evicted is None or not evicted.holds:
            return ""
        if evicted.reason != "Preempted":
            return f"it was stopped ({evicted.message.rstrip('.')}), and now "
        owners = {owner["uid"]: each for each in self.others for owner in each["metadata"].get("ownerReferences") or ()}
        other = owners.get(preemptor(evicted.message) or "")
        by = f" by {self.named(other)} (priority {priority(other)})" if other else ""
        return f"it was preempted{by}, and now "

    def named(self, workload: Object) -> str:
        """Return the name of a Workload's job, with its namespace where that is another."""
        place = namespace_of(workload)
        return job_of(workload) if place == self.queue.namespace else f"{place}/{job_of(workload)}"
