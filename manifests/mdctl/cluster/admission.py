"""Why Kueue has not admitted a job: from its Workload, its queue, and who else is in that.

    no Workload                    Kueue did not take it up: such as an unknown priority
    the queue admits nothing       it is not there, stopped, inactive, or not for this namespace
    the job can never fit          a resource that is not covered, no flavour of its kind, more than the quota is
    the queue is full              by whom, and who comes first
    quota reserved                 admission checks are still to pass

Kueue tells what it tried in the message of the condition QuotaReserved, and in events of the Workload; it may not have
come to a job that is far back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mdctl.cluster.amounts import noun, shown
from mdctl.cluster.client import Object
from mdctl.cluster.conditions import Condition, find_condition, holds
from mdctl.cluster.demand import FIELDS
from mdctl.cluster.events import Event
from mdctl.cluster.jobs import PRIORITY_LABEL
from mdctl.cluster.queues import (
    QueueView,
    flavors_of,
    holding,
    job_of,
    namespace_of,
    priority,
    quotas,
    requests,
    waiting,
)
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.verdicts import Tried, Verdict, preemptions, preemptor, read_verdicts
from mdctl.cluster.why import Row, Why, listed, plural


def why_not_admitted(snapshot: Snapshot, queue: QueueView, events: Sequence[Event] = ()) -> Why:
    """Return why a job still waits in its queue; `events` are those of its Workload."""
    found = next(filter(None, _reasons(_Case(snapshot, queue, events))))
    return replace(found, unread=queue.hidden)


@dataclass(frozen=True)
class _Case:
    snapshot: Snapshot
    queue: QueueView
    events: Sequence[Event]

    @property
    def workload(self) -> Object:
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
        return bool(workload["metadata"].get("uid") == self.workload["metadata"].get("uid"))


def _reasons(case: _Case) -> Iterator[Why | None]:
    """Yield the reason of each kind where it applies, the one that explains most first."""
    yield _no_queue(case)
    yield _unseen(case)
    yield _checks(case)
    yield _inactive(case)
    yield _not_covered(case)
    yield _never(case)
    yield _no_flavor(case)
    yield _preempting(case)
    yield _full(case)
    yield _no_domain(case)
    yield _in_line(case)


def _no_queue(case: _Case) -> Why | None:
    name, namespace = case.queue.name, case.queue.namespace
    if isinstance(case.queue.local_queues, NotReadable) or case.queue.local_queue is not None:
        return None
    names = [each["metadata"]["name"] for each in case.queue.siblings]
    there = f"there are: {listed(names, 8)}" if names else "there is none at all (`mdctl cluster install` makes some)"
    return Why(sentence=f"namespace {namespace} has no queue {name!r}; {there}; submit it again with another --queue")


def _unseen(case: _Case) -> Why | None:
    """Return why there is no Workload."""
    if isinstance(case.snapshot.workload, NotReadable):
        return Why(sentence=f"it waits in queue {case.queue.name}; what for, its Workload tells, which may not be read")
    if case.snapshot.workload is not None:
        return None
    wanted = case.snapshot.jobset["metadata"].get("labels", {}).get(PRIORITY_LABEL)
    known = [] if isinstance(case.queue.priorities, NotReadable) else case.queue.priorities
    names = [each["metadata"]["name"] for each in known]
    if wanted is not None and wanted not in names and not isinstance(case.queue.priorities, NotReadable):
        there = f"there are: {listed(names, 8)}" if names else "there is none at all"
        return Why(
            sentence=f"the cluster has no WorkloadPriorityClass {wanted!r}, so Kueue does not take it up; {there}; "
            "submit it again with another queue.priority, or have that class made"
        )
    return Why(
        sentence=f"Kueue has not taken it up yet (queue {case.queue.name}); if that lasts, Kueue does not run, or does "
        "not know JobSets: ask the cluster's administrator, or see `mdctl doctor`"
    )


def _checks(case: _Case) -> Why | None:
    if not holds(case.workload, "QuotaReserved"):
        return None
    checks = case.workload["status"].get("admissionChecks") or ()
    table = tuple(
        {"name": each["name"], "state": each["state"], "message": each.get("message") or None} for each in checks
    )
    open_ = [each for each in checks if each["state"] != "Ready"]
    if not open_:
        return Why(sentence="it is admitted, and about to start", passes=True)
    said = "; ".join(
        f"{each['name']} is {each['state']}" + (f" ({each['message']})" if each.get("message") else "")
        for each in open_
    )
    return Why(sentence=f"quota is reserved, and it waits for admission checks: {said}", table=table)


def _inactive(case: _Case) -> Why | None:
    """Return why the queue admits nothing at all."""
    name, local = case.queue.name, _inactivity(case.queue.local_queue)
    behind = (case.queue.local_queue or {"spec": {}})["spec"].get("clusterQueue")
    if local and local.reason == "Stopped":
        return Why(sentence=f"queue {name} is stopped: its administrator admits nothing until it is started again")
    if local and local.reason == "ClusterQueueDoesNotExist":
        return Why(sentence=f"queue {name} leads to ClusterQueue {behind!r}, which does not exist; use another queue")
    if inner := _inactivity(case.cluster_queue):
        said = inner.message.removeprefix("Can't admit new workloads: ").rstrip(".")
        what = "is stopped by its administrator" if inner.reason == "Stopped" else f"admits nothing: {said}"
        return Why(sentence=f"ClusterQueue {behind}, behind queue {name}, {what}")
    if local:
        return Why(sentence=f"queue {name} admits nothing: ClusterQueue {behind} is stopped, or lacks something")
    if "namespace doesn't match" in case.said:
        return Why(
            sentence=f"ClusterQueue {behind} is not for namespace {case.queue.namespace}, by its namespaceSelector; "
            "use another queue, or have the namespace labelled"
        )
    return None


def _not_covered(case: _Case) -> Why | None:
    found = case.tried(Verdict.UNCOVERED)
    if not found:
        return None
    resources = list(dict.fromkeys(each.resource for each in found))
    covered = sorted({each.resource for each in quotas(case.cluster_queue)}) if case.cluster_queue else []
    there = f" (it covers {', '.join(covered)})" if covered else ""
    without = listed([FIELDS.get(each, each) for each in resources])
    return Why(
        sentence=f"the pods ask for {listed(resources)}, which queue {case.queue.name} does not cover{there}, so it is "
        f"never admitted; submit it again without {without}, or to another queue"
    )


def _never(case: _Case) -> Why | None:
    """Return why the quota is too small for the job even when nobody else has any."""
    found = case.tried(Verdict.TOO_SMALL)
    if not found or case.tried(Verdict.FULL, Verdict.NO_DOMAIN):
        return None
    first = found[0]
    return Why(
        sentence=f"it asks for {first.wanted} {noun(first.resource)}, and queue {case.queue.name} never has more than "
        f"{first.most} (flavour {first.flavor}), so it is never admitted; submit it again with a smaller slice, or "
        "fewer of them, or ask for more quota",
        table=_flavors(case),
    )


def _no_flavor(case: _Case) -> Why | None:
    tried = case.tried()
    if not tried or any(each.verdict is not Verdict.OTHER_NODES for each in tried):
        return None
    if case.flavors - {each.flavor for each in tried}:
        return None  # of those that were not tried this time one may be right
    return Why(
        sentence=f"queue {case.queue.name} has nothing for nodes with {_selector(case.snapshot)}: none of its flavours "
        "is of that kind; submit it again with another slice (see `mdctl capacity`), or to another queue",
        table=_flavors(case),
    )


def _preempting(case: _Case) -> Why | None:
    if not (count := preemptions(case.said)):
        return None
    uid = case.workload["metadata"].get("uid")
    victims = [each for each in case.others if uid and uid in _stopped_for(each)]
    names = f": {listed([_named(case, each) for each in victims])}" if victims else ""
    until = "that has" if count == 1 else "those have"
    return Why(
        sentence=f"it takes the place of {plural(count, 'job')} of lower priority, and waits until {until} saved and "
        f"stopped{names}",
        table=_line(case),
    )


def _full(case: _Case) -> Why | None:
    found = case.tried(Verdict.FULL)
    if not found:
        return None
    first = found[0]
    key = (first.flavor, first.resource)
    there = quotas(case.cluster_queue) if case.cluster_queue else []
    quota = next((each for each in there if (each.flavor, each.resource) == key), None)
    amounts = f"{first.more} more are needed"
    if quota is not None:
        wanted = shown(first.resource, requests(case.workload).get(first.resource, Decimal(0)))
        used, nominal = (shown(first.resource, each) for each in (quota.used, quota.nominal))
        amounts = f"{used} of {nominal} are taken, and it needs {wanted}"
    return Why(
        sentence=f"{_again(case)}queue {case.queue.name} is full: of {noun(first.resource)} (flavour {first.flavor}) "
        f"{amounts}; {_position(case)}",
        table=_line(case, first.flavor),
    )


def _no_domain(case: _Case) -> Why | None:
    found = case.tried(Verdict.NO_DOMAIN)
    if not found:
        return None
    return Why(
        sentence=f"{_again(case)}there is quota, but no part of the cluster has room for a whole slice now "
        f"({found[0].said}); {_position(case)}",
        table=_line(case),
    )


def _in_line(case: _Case) -> Why:
    said = f" ({case.said})" if case.said and "couldn't assign" not in case.said else ""
    return Why(
        sentence=f"{_again(case)}it waits in queue {case.queue.name}{said}; {_position(case)}", table=_line(case)
    )


def _position(case: _Case) -> str:
    """Return who comes first, in half a sentence."""
    if isinstance(case.queue.workloads, NotReadable):
        return "who waits before it may not be read"
    before, mine = case.before, priority(case.workload)
    here = ", in this namespace," if "Workloads of other namespaces" in case.queue.hidden else ""
    if not before:
        return f"it is the next{here} in line" if here else "it is the next in line"
    higher = [each for each in before if priority(each) > mine]
    names = listed([_named(case, each) for each in before])
    rank = f" ({len(higher)} of higher priority than its {mine})" if higher else ""
    return f"{plural(len(before), 'job')}{here} {'waits' if len(before) == 1 else 'wait'} before it{rank}: {names}"


def _line(case: _Case, flavor: str | None = None) -> tuple[Row, ...]:
    """Return who has the quota and who waits, in order, up to this job."""
    having = [each for each in holding(case.others) if flavor is None or flavor in flavors_of(each)]
    rows = [(each, "has quota") for each in having] + [(each, "waits before it") for each in case.before]
    return tuple(_row(case, each, state) for each, state in [*rows, (case.workload, "this job")] if each["metadata"])


def _row(case: _Case, workload: Object, state: str) -> Row:
    asked = [f"{shown(name, number)} {noun(name)}" for name, number in sorted(requests(workload).items())]
    return {
        "name": _named(case, workload),
        "state": state,
        "priority": priority(workload),
        "asks for": ", ".join(asked),
        "since": workload["metadata"]["creationTimestamp"],
    }


def _flavors(case: _Case) -> tuple[Row, ...]:
    return tuple({"name": each.flavor, "verdict": str(each)} for each in case.tried() if each.flavor)


def _again(case: _Case) -> str:
    """Return why it waits once more, where it has run before."""
    evicted = find_condition(case.workload, "Evicted")
    if evicted is None or not evicted.holds:
        return ""
    if evicted.reason != "Preempted":
        return f"it was stopped ({evicted.message.rstrip('.')}), and now "
    owners = {owner["uid"]: each for each in case.others for owner in each["metadata"].get("ownerReferences") or ()}
    other = owners.get(preemptor(evicted.message) or "")
    by = f" by {_named(case, other)} (priority {priority(other)})" if other else ""
    return f"it was preempted{by}, and now "


def _named(case: _Case, workload: Object) -> str:
    place = namespace_of(workload)
    return job_of(workload) if place == case.queue.namespace else f"{place}/{job_of(workload)}"


def _inactivity(queue: Object | None) -> Condition | None:
    found = find_condition(queue, "Active")
    return found if found is not None and not found.holds else None


def _stopped_for(workload: Object) -> str:
    """Return what Kueue says of why it stopped a job."""
    found = find_condition(workload, "Preempted")
    return found.message if found and found.holds else ""


def _selector(snapshot: Snapshot) -> str:
    pod = snapshot.jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    labels = pod.get("nodeSelector") or {}
    return ", ".join(f"{key.rpartition('/')[2]}={value}" for key, value in labels.items()) or "any labels"
