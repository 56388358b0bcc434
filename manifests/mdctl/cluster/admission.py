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
from dataclasses import replace
from decimal import Decimal

from mdctl.cluster.amounts import noun, shown
from mdctl.cluster.client import Object
from mdctl.cluster.conditions import Condition, find_condition, holds
from mdctl.cluster.demand import FIELDS, covered_by, demand, uncovered, unfitting
from mdctl.cluster.events import Event
from mdctl.cluster.jobs import PRIORITY_LABEL
from mdctl.cluster.queues import QueueView, quotas, requests
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.standing import Standing
from mdctl.cluster.verdicts import Verdict, preemptions
from mdctl.cluster.why import Why, listed, plural
from mdctl.render.cuts import cut_pod


def why_not_admitted(snapshot: Snapshot, queue: QueueView, events: Sequence[Event] = ()) -> Why:
    """Return why a job still waits in its queue; `events` are those of its Workload."""
    found = next(filter(None, _reasons(Standing(snapshot, queue, events))))
    return replace(found, unread=queue.hidden)


def _reasons(case: Standing) -> Iterator[Why | None]:
    """Yield the reason of each kind where it applies, the one that explains most first."""
    yield _no_queue(case)
    yield _unseen(case)
    yield _checks(case)
    yield _inactive(case)
    yield _not_covered(case)
    yield _never(case)
    yield _no_flavor(case)
    yield _not_tried(case)
    yield _preempting(case)
    yield _full(case)
    yield _no_domain(case)
    yield _in_line(case)


def _no_queue(case: Standing) -> Why | None:
    name, namespace = case.queue.name, case.queue.namespace
    if isinstance(case.queue.local_queues, NotReadable) or case.queue.local_queue is not None:
        return None
    names = [each["metadata"]["name"] for each in case.queue.siblings]
    there = f"there are: {listed(names, 8)}" if names else "there is none at all (`mdctl cluster install` makes some)"
    return Why(sentence=f"namespace {namespace} has no queue {name!r}; {there}; submit it again with another --queue")


def _unseen(case: Standing) -> Why | None:
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


def _checks(case: Standing) -> Why | None:
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


def _inactive(case: Standing) -> Why | None:
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


def _not_covered(case: Standing) -> Why | None:
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


def _never(case: Standing) -> Why | None:
    """Return why the quota is too small for the job even when nobody else has any."""
    found = case.tried(Verdict.TOO_SMALL)
    if not found or case.tried(Verdict.FULL, Verdict.NO_DOMAIN):
        return None
    first = found[0]
    return Why(
        sentence=f"it asks for {first.wanted} {noun(first.resource)}, and queue {case.queue.name} never has more than "
        f"{first.most} (flavour {first.flavor}), so it is never admitted; submit it again with a smaller slice, or "
        "fewer of them, or ask for more quota",
        table=case.flavor_rows(),
    )


def _no_flavor(case: Standing) -> Why | None:
    tried = case.tried()
    if not tried or any(each.verdict is not Verdict.OTHER_NODES for each in tried):
        return None
    if case.flavors - {each.flavor for each in tried}:
        return None  # of those that were not tried this time one may be right
    return Why(
        sentence=f"queue {case.queue.name} has nothing for nodes with {_selector(case.snapshot)}: none of its flavours "
        "is of that kind; submit it again with another slice (see `mdctl capacity`), or to another queue",
        table=case.flavor_rows(),
    )


def _not_tried(case: Standing) -> Why | None:
    """Return why a job that Kueue has not come to can never be admitted."""
    if case.said or case.cluster_queue is None or isinstance(case.queue.flavors, NotReadable):
        return None
    name, asked = case.queue.name, demand(case.snapshot.jobset, cut_pod(case.snapshot.jobset))
    problems = uncovered(asked, name, covered_by(case.cluster_queue))
    problems += unfitting(asked, name, case.cluster_queue, case.queue.flavors)
    return Why(sentence=problems[0]) if problems else None


def _preempting(case: Standing) -> Why | None:
    if not (count := preemptions(case.said)):
        return None
    uid = case.workload["metadata"].get("uid")
    victims = [each for each in case.others if uid and uid in _stopped_for(each)]
    names = f": {listed([case.named(each) for each in victims])}" if victims else ""
    until = "that has" if count == 1 else "those have"
    return Why(
        sentence=f"it takes the place of {plural(count, 'job')} of lower priority, and waits until {until} saved and "
        f"stopped{names}",
        table=case.line(),
    )


def _full(case: Standing) -> Why | None:
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
        sentence=f"{case.again()}queue {case.queue.name} is full: of {noun(first.resource)} (flavour {first.flavor}) "
        f"{amounts}; {case.position()}",
        table=case.line(first.flavor),
    )


def _no_domain(case: Standing) -> Why | None:
    found = case.tried(Verdict.NO_DOMAIN)
    if not found:
        return None
    return Why(
        sentence=f"{case.again()}there is quota, but no part of the cluster has room for a whole slice now "
        f"({found[0].said}); {case.position()}",
        table=case.line(),
    )


def _in_line(case: Standing) -> Why:
    said = f" ({case.said})" if case.said and "couldn't assign" not in case.said else ""
    return Why(
        sentence=f"{case.again()}it waits in queue {case.queue.name}{said}; {case.position()}", table=case.line()
    )


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
