"""What a job asks of a queue, and whether the queue could ever give it.

    demand      pods x what each requests: its containers, and sidecars beside them
    covered     a resource that no group of the ClusterQueue covers is refused for good
    ceiling     of a flavour: its nominal quota, and what it may borrow where the ClusterQueue is in a cohort

Kueue gives all pods of a job one flavour of a resource, so the largest ceiling among the flavours that fit counts, not
their sum. A flavour fits where its node labels are those that the pods select, and the pods tolerate its taints.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mdctl.cluster.amounts import Amounts, amount, amounts

Object = dict[str, Any]

FIELDS = {"cpu": "resources.cpu", "memory": "resources.memory"}
"""Resources, and the fields that ask for them."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What all pods of a job ask for together, and the nodes that they can go to."""

    amounts: Amounts
    selector: Mapping[str, str]
    tolerations: Sequence[Object]
    topology: bool
    """Whether the job is to be placed by the queue's topology."""


def demand(jobset: Object, pod: Object) -> Demand:
    """Return what a JobSet asks for, by one of its pods as the server completed it."""
    group = jobset["spec"]["replicatedJobs"][0]
    count = group["replicas"] * group["template"]["spec"]["parallelism"]
    annotations = pod["metadata"].get("annotations", {})
    return Demand(
        amounts={name: count * each for name, each in _pod_requests(pod["spec"]).items() if each},
        selector=pod["spec"].get("nodeSelector", {}),
        tolerations=pod["spec"].get("tolerations", ()),
        topology=any(name.startswith("kueue.x-k8s.io/podset-") for name in annotations),
    )


def uncovered(asked: Demand, name: str, covered: Iterable[str]) -> list[str]:
    """Return a problem for each resource that a queue's ClusterQueue does not cover."""
    there = sorted(covered)
    return [
        f"the pods ask for {resource}, which queue {name} does not cover (it covers {', '.join(there)}): leave "
        f"{FIELDS.get(resource, resource)} out, or use another queue"
        for resource in asked.amounts
        if resource not in there
    ]


def unfitting(asked: Demand, name: str, queue: Object, flavors: Sequence[Object] | None) -> list[str]:
    """Return a problem for each resource of which no flavour of a ClusterQueue could ever give enough.

    Where the ResourceFlavors are not known (None) all are taken to fit.
    """
    found: list[str] = []
    for group in queue["spec"].get("resourceGroups", ()):
        fitting = group["flavors"] if flavors is None else _fitting(asked, group, flavors)
        for resource in sorted(asked.amounts.keys() & set(group["coveredResources"])):
            found += _of_resource(asked, name, resource, queue, fitting)
    return list(dict.fromkeys(found))


def covered_by(queue: Object) -> set[str]:
    """Return what a ClusterQueue covers."""
    return {each for group in queue["spec"].get("resourceGroups", ()) for each in group["coveredResources"]}


def covered_in(local_queue: Object) -> set[str]:
    """Return what a LocalQueue says its ClusterQueue covers, for those who may not read that; empty: it does not."""
    flavors = local_queue.get("status", {}).get("flavorsReservation", ())
    return {resource["name"] for flavor in flavors for resource in flavor["resources"]}


def _of_resource(asked: Demand, name: str, resource: str, queue: Object, fitting: Sequence[Object]) -> Iterator[str]:
    if not fitting:
        nodes = ", ".join(f"{key.rpartition('/')[2]}={value}" for key, value in asked.selector.items())
        topology = " with a topology" if asked.topology else ""
        yield (
            f"queue {name} has no flavour{topology} for nodes with {nodes} (ClusterQueue {queue['metadata']['name']}); "
            "use another slice or another queue (`mdctl queues`)"
        )
        return
    ceilings = [(_ceiling(queue, flavor, resource), flavor["name"]) for flavor in fitting]
    most, flavor = max(ceilings)
    wanted = asked.amounts[resource]
    if most < wanted:
        yield (
            f"the job asks for {wanted:f} {resource}, and queue {name} never has more than {most:f} (flavour {flavor} "
            f"of ClusterQueue {queue['metadata']['name']}): it would wait for ever; ask for less, or for more quota"
        )


def _fitting(asked: Demand, group: Object, flavors: Sequence[Object]) -> list[Object]:
    labels = {each["metadata"]["name"]: each for each in flavors}
    there = [each for each in group["flavors"] if each["name"] in labels]
    keys = {key for each in there for key in labels[each["name"]]["spec"].get("nodeLabels", {})}
    return [each for each in there if _fits(asked, labels[each["name"]], keys)]


def _ceiling(queue: Object, flavor: Object, resource: str) -> Decimal:
    quota = next(each for each in flavor["resources"] if each["name"] == resource)
    nominal = amount(quota["nominalQuota"])
    if not queue["spec"].get("cohortName"):
        return nominal
    limit = quota.get("borrowingLimit")
    return Decimal("Infinity") if limit is None else nominal + amount(limit)


def _fits(asked: Demand, flavor: Object, keys: set[str]) -> bool:
    spec = flavor["spec"]
    labels = spec.get("nodeLabels", {})
    same = all(labels.get(key) == value for key, value in asked.selector.items() if key in keys)
    accepted = [*asked.tolerations, *spec.get("tolerations", ())]
    taints = [each for each in spec.get("nodeTaints", ()) if each["effect"] in ("NoSchedule", "NoExecute")]
    tolerated = all(any(_tolerates(each, taint) for each in accepted) for taint in taints)
    return same and tolerated and (not asked.topology or "topologyName" in spec)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _pod_requests(spec: Object) -> Amounts:
    """Return what the scheduler counts for a pod: the larger of its start and its run."""
    beside: Amounts = {}
    peak: Amounts = {}
    for each in spec.get("initContainers", ()):
        if each.get("restartPolicy") == "Always":
            beside = _sum(beside, _requests(each))
            peak = _larger(peak, beside)
        else:
            peak = _larger(peak, _sum(beside, _requests(each)))
    running = beside
    for each in spec["containers"]:
        running = _sum(running, _requests(each))
    return _larger(peak, running)


def _requests(container: Object) -> Amounts:
    resources = container.get("resources", {})
    asked = {**resources.get("limits", {}), **resources.get("requests", {})}
    return amounts(asked)


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in {**one, **other}}


def _larger(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}
