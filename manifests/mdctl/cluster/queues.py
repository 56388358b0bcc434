"""Kueue's queues: what each may give, what it has given, and who waits in it for what.

    LocalQueue      a namespace's door to a ClusterQueue; jobs name it
    ClusterQueue    quotas: so much of a resource, from a flavour, that is, from nodes of one kind

In a ClusterQueue jobs wait by priority, and then by age. Its parts may not all be readable: who may list Workloads of
one namespace only sees a part of the line, and who may not read ClusterQueues sees no quotas.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from mdctl.cluster.amounts import Amounts, amount, amounts
from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.conditions import find_condition, holds
from mdctl.cluster.readable import NotReadable, look

Objects = list[Object]


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How much of one resource a ClusterQueue has of one flavour."""

    flavor: str
    resource: str
    nominal: Decimal
    most: Decimal | None
    """With what it may borrow; None: as much as the cohort has."""
    used: Decimal

    @property
    def left(self) -> Decimal:
        """Return what is left without borrowing."""
        return max(Decimal(0), self.nominal - self.used)


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """A ClusterQueue as seen through one of its LocalQueues."""

    name: str
    namespace: str
    local_queues: Objects | NotReadable
    """Those of the namespace; and those of others, where they may be read."""
    cluster_queue: Object | NotReadable | None
    workloads: Objects | NotReadable
    """Those in the same ClusterQueue."""
    flavors: Objects | NotReadable
    priorities: Objects | NotReadable = field(default_factory=list)
    """WorkloadPriorityClasses, where they were asked for."""
    hidden: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def local_queue(self) -> Object | None:
        """Return the LocalQueue itself."""
        return next((each for each in self.siblings if each["metadata"]["name"] == self.name), None)

    @property
    def behind(self) -> str | None:
        """Return the name of its ClusterQueue."""
        return None if self.local_queue is None else str(self.local_queue["spec"]["clusterQueue"])

    @property
    def state(self) -> str:
        """Return `Active`, or why it admits nothing."""
        found = find_condition(self.local_queue, "Active")
        return "Active" if found is None or found.holds else found.reason

    @property
    def num_waiting(self) -> int | None:
        """Return how many jobs wait, of all that use the ClusterQueue where that may be read."""
        known = self.cluster_queue if isinstance(self.cluster_queue, dict) else self.local_queue
        return None if known is None else int(known.get("status", {}).get("pendingWorkloads") or 0)

    @property
    def siblings(self) -> Objects:
        """Return the LocalQueues of the namespace."""
        found = [] if isinstance(self.local_queues, NotReadable) else self.local_queues
        return [each for each in found if each["metadata"]["namespace"] == self.namespace]


def observe_queue(cluster: Cluster, namespace: str, name: str, *, priorities: bool = False) -> QueueView:
    """Return a queue as it stands: four requests, one more for `priorities`, one for each that is refused."""
    eyes = _Eyes(cluster, namespace)
    local_queues, workloads = eyes.widely("LocalQueue"), eyes.widely("Workload")
    behind = behind_queue(local_queues, namespace, name)
    return QueueView(
        name=name,
        namespace=namespace,
        local_queues=local_queues,
        cluster_queue=None if behind is None else eyes.one("ClusterQueue", behind),
        workloads=in_cluster_queue(workloads, local_queues, behind),
        flavors=eyes.all("ResourceFlavor"),
        priorities=eyes.all("WorkloadPriorityClass") if priorities else [],
        hidden=tuple(eyes.hidden),
    )


def observe_queues(cluster: Cluster) -> list[QueueView]:
    """Return every queue of the namespace as it stands: four requests, and one for each that is refused."""
    eyes = _Eyes(cluster, cluster.namespace)
    local_queues, workloads = eyes.widely("LocalQueue"), eyes.widely("Workload")
    cluster_queues, flavors = eyes.all("ClusterQueue"), eyes.all("ResourceFlavor")
    if isinstance(local_queues, NotReadable):
        return []
    known = (
        {} if isinstance(cluster_queues, NotReadable) else {each["metadata"]["name"]: each for each in cluster_queues}
    )

    def view(local_queue: Object) -> QueueView:
        behind = local_queue["spec"]["clusterQueue"]
        return QueueView(
            name=local_queue["metadata"]["name"],
            namespace=cluster.namespace,
            local_queues=local_queues,
            cluster_queue=cluster_queues if isinstance(cluster_queues, NotReadable) else known.get(behind),
            workloads=in_cluster_queue(workloads, local_queues, behind),
            flavors=flavors,
            hidden=tuple(eyes.hidden),
        )

    return [view(each) for each in local_queues if each["metadata"]["namespace"] == cluster.namespace]


class _Eyes:
    """Looks at objects of queues, and remembers what it may not see."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.hidden: list[str] = []
        self._cluster, self._namespace = cluster, namespace

    def one(self, kind: str, name: str) -> Object | NotReadable | None:
        return self._look(f"{kind} {name}", lambda: self._cluster.get(kind, name))

    def all(self, kind: str) -> Objects | NotReadable:
        noun = f"{kind}es" if kind.endswith("s") else f"{kind}s"
        return self._look(noun, lambda: self._cluster.objects(kind, self._namespace))

    def widely(self, kind: str) -> Objects | NotReadable:
        """Return the objects of all namespaces, or where those may not be seen, of this one."""
        found = self._look(f"{kind}s of other namespaces", lambda: self._cluster.objects(kind, everywhere=True))
        return self.all(kind) if isinstance(found, NotReadable) else found

    def _look[T](self, what: str, ask: Callable[[], T]) -> T | NotReadable:
        found = look(what, ask)
        if isinstance(found, NotReadable):
            self.hidden.append(what)
        return found


def behind_queue(local_queues: Objects | NotReadable, namespace: str, name: str) -> str | None:
    """Return the name of the ClusterQueue behind a LocalQueue; None where that is not known."""
    found = {} if isinstance(local_queues, NotReadable) else _behind(local_queues)
    return found.get((namespace, name))


def in_cluster_queue(
    workloads: Objects | NotReadable, local_queues: Objects | NotReadable, name: str | None
) -> Objects | NotReadable:
    """Return the Workloads in a ClusterQueue."""
    if isinstance(workloads, NotReadable):
        return workloads
    behind = {} if isinstance(local_queues, NotReadable) else _behind(local_queues)

    def place(workload: Object) -> str | None:
        entered = behind.get((namespace_of(workload), workload["spec"].get("queueName", "")))
        return _admission(workload).get("clusterQueue") or entered

    return [] if name is None else [each for each in workloads if place(each) == name]


def quotas(cluster_queue: Object) -> list[Quota]:
    """Return the quotas of a ClusterQueue, in its order of flavours."""
    used = {
        (flavor["name"], each["name"]): amount(each.get("total"))
        for flavor in cluster_queue.get("status", {}).get("flavorsReservation") or ()
        for each in flavor["resources"]
    }
    return [
        Quota(
            flavor=flavor["name"],
            resource=each["name"],
            nominal=amount(each["nominalQuota"]),
            most=_most(cluster_queue, each),
            used=used.get((flavor["name"], each["name"]), Decimal(0)),
        )
        for group in cluster_queue["spec"].get("resourceGroups") or ()
        for flavor in group["flavors"]
        for each in flavor["resources"]
    ]


def own_usage(local_queue: Object | None) -> list[tuple[str, str, Decimal]]:
    """Return what a LocalQueue's own jobs have of each flavour and resource."""
    return [
        (flavor["name"], each["name"], amount(each.get("total")))
        for flavor in (local_queue or {}).get("status", {}).get("flavorsReservation") or ()
        for each in flavor["resources"]
    ]


def waiting(workloads: Iterable[Object]) -> Objects:
    """Return the Workloads that wait for quota, in their order."""
    return sorted(filter(waits, workloads), key=_order)


def holding(workloads: Iterable[Object]) -> Objects:
    """Return the Workloads that hold quota, the oldest first."""
    found = [each for each in workloads if holds(each, "QuotaReserved") and not holds(each, "Finished")]
    return sorted(found, key=lambda each: each["metadata"]["creationTimestamp"])


def waits(workload: Object) -> bool:
    """Whether a Workload waits for quota."""
    return (
        workload["spec"].get("active") is not False
        and not holds(workload, "QuotaReserved")
        and not holds(workload, "Finished")
    )


def requests(workload: Object) -> Amounts:
    """Return what a Workload asks for, or has got."""
    status, total = workload.get("status", {}), Amounts()
    asked = [each.get("resources") or {} for each in status.get("resourceRequests") or ()]
    got = [each.get("resourceUsage") or {} for each in _admission(workload).get("podSetAssignments") or ()]
    for each in got or asked or _asked(workload):
        for name, number in amounts(each).items():
            total[name] = total.get(name, Decimal(0)) + number
    return total


def flavors_of(workload: Object) -> set[str]:
    """Return the flavours that a Workload has quota of."""
    given = _admission(workload).get("podSetAssignments") or ()
    return {flavor for each in given for flavor in (each.get("flavors") or {}).values()}


def priority(workload: Object) -> int:
    """Return the priority of a Workload."""
    return int(workload["spec"].get("priority") or 0)


def job_of(workload: Object) -> str:
    """Return the name of the object that a Workload is of."""
    owners = workload["metadata"].get("ownerReferences") or ()
    return str(next((each["name"] for each in owners if each.get("controller")), workload["metadata"]["name"]))


def namespace_of(workload: Object) -> str:
    """Return the namespace that a Workload is in."""
    return str(workload["metadata"]["namespace"])


def _behind(local_queues: Objects) -> dict[tuple[str, str], str]:
    return {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each["spec"]["clusterQueue"] for each in local_queues
    }


def _admission(workload: Object) -> Object:
    return workload.get("status", {}).get("admission") or {}


def _most(cluster_queue: Object, quota: Object) -> Decimal | None:
    nominal = amount(quota["nominalQuota"])
    if not cluster_queue["spec"].get("cohortName"):
        return nominal
    return None if quota.get("borrowingLimit") is None else nominal + amount(quota["borrowingLimit"])


def _order(workload: Object) -> tuple[int, str]:
    """Return what Kueue sorts by: the priority, then the age; one that got no pods in time stands at the end again."""
    evicted = find_condition(workload, "Evicted")
    if evicted and evicted.holds and evicted.reason in ("PodsReadyTimeout", "AdmissionCheck") and evicted.since:
        return -priority(workload), f"{evicted.since:%Y-%m-%dT%H:%M:%SZ}"
    return -priority(workload), workload["metadata"]["creationTimestamp"]


def _asked(workload: Object) -> Iterator[dict[str, str]]:
    """Yield what the pods of a Workload that Kueue has not looked at ask for."""
    for pods in workload["spec"].get("podSets") or ():
        for container in pods["template"]["spec"]["containers"]:
            wanted = {**(container.get("resources", {}).get("limits") or {})}
            wanted |= container.get("resources", {}).get("requests") or {}
            for _ in range(int(pods.get("count", 1))):
                yield wanted
