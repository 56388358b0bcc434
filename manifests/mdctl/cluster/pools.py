"""Node pools with accelerators: which slices they are, how many of their nodes are there, and who has them.

    a TPU pool of several hosts     one slice: it takes a job's slice whole, or not at all
    any other pool                  each node is a slice, or a host of one with GPUs

Nodes belong to no namespace, so many people may not list them; pods of other namespaces likewise.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from mdctl.cluster.amounts import amount
from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.conditions import holds
from mdctl.cluster.jobs import JOBSET_LABEL
from mdctl.cluster.readable import NotReadable, look
from mdctl.spec.slices import Slice, all_slices

POOL_LABEL = "cloud.google.com/gke-nodepool"
RESOURCES = ("google.com/tpu", "nvidia.com/gpu")

NOT_OURS = "metadata.namespace!=kube-system,metadata.namespace!=gmp-system,metadata.namespace!=gke-managed-system"
PLACED = f"spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed,{NOT_OURS}"
"""Selects the pods that are on nodes, but those that are on every node."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node with accelerators."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Object, ...]
    is_ready: bool
    is_cordoned: bool
    resource: str
    chips: int
    used: int
    users: frozenset[str]
    """Jobs, or pods of none, as namespace/name."""

    @property
    def pool(self) -> str:
        """Return the name of its node pool; a node of none is one by itself."""
        return self.labels.get(POOL_LABEL, self.name)

    @property
    def is_free(self) -> bool:
        """Return whether a host's pod could go there now."""
        return self.is_ready and not self.is_cordoned and self.used == 0


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Nodes of one kind, made together."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that all its nodes have."""
        first, *others = self.nodes
        return {
            key: value for key, value in first.labels.items() if all(each.labels.get(key) == value for each in others)
        }

    @property
    def slice(self) -> Slice | None:
        """Return the slice that its nodes make up, or that each of them is; None where mdctl knows none such."""
        return slice_of(self.labels)

    @property
    def ready(self) -> tuple[Node, ...]:
        """Return the nodes that pods can go to, used ones too."""
        return tuple(each for each in self.nodes if each.is_ready and not each.is_cordoned)

    @property
    def free(self) -> tuple[Node, ...]:
        """Return the nodes that are ready, and that nobody uses."""
        return tuple(each for each in self.nodes if each.is_free)

    @property
    def users(self) -> list[str]:
        """Return who uses its nodes."""
        return sorted({user for each in self.nodes for user in each.users})


@dataclass(frozen=True, kw_only=True)
class Pools:
    """All node pools with accelerators; `users_known` is whether pods of all namespaces could be read."""

    pools: tuple[Pool, ...]
    users_known: bool = True

    def matching(self, selector: Mapping[str, str]) -> list[Pool]:
        """Return the pools whose nodes have certain labels, each with those nodes."""
        found = []
        for pool in self.pools:
            nodes = tuple(each for each in pool.nodes if selector.items() <= each.labels.items())
            if nodes:
                found.append(Pool(name=pool.name, nodes=nodes))
        return found

    def nearest(self, selector: Mapping[str, str]) -> Pool | None:
        """Return the pool that has most of some labels; None where none has any."""

        def shared(pool: Pool) -> int:
            return len(selector.items() & pool.labels.items())

        best = max(self.pools, key=shared, default=None)
        return best if best is not None and shared(best) else None


def observe_pools(cluster: Cluster) -> Pools | NotReadable:
    """Return the node pools as they stand: two requests."""
    nodes = look("nodes", lambda: cluster.objects("Node"))
    if isinstance(nodes, NotReadable):
        return nodes
    pods = look("pods of other namespaces", lambda: cluster.objects("Pod", fields=PLACED, everywhere=True))
    return read_pools(nodes, pods)


def read_pools(nodes: Iterable[Object], pods: list[Object] | NotReadable) -> Pools:
    """Return the pools that nodes make up, and who uses them."""
    used: dict[str, int] = defaultdict(int)
    users: dict[str, set[str]] = defaultdict(set)
    for pod in [] if isinstance(pods, NotReadable) else pods:
        if chips := _chips(pod):
            node = pod["spec"]["nodeName"]
            used[node] += chips
            users[node].add(user_of(pod))
    pools: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for resource in RESOURCES:
            name = node["metadata"]["name"]
            if chips := int(amount(node.get("status", {}).get("allocatable", {}).get(resource))):
                found = _node(node, resource, chips, used[name], frozenset(users[name]))
                pools[found.pool].append(found)
    ordered = sorted(pools.items())
    return Pools(
        pools=tuple(Pool(name=name, nodes=tuple(sorted(found, key=lambda each: each.name))) for name, found in ordered),
        users_known=not isinstance(pods, NotReadable),
    )


def slice_of(labels: Mapping[str, str]) -> Slice | None:
    """Return the slice whose hosts have such labels: of those that machine types tell apart, the one of this type."""
    for slice_ in all_slices():
        selector = slice_.node_selector
        machine = labels.get("node.kubernetes.io/instance-type", slice_.machine_type)
        if selector and selector.items() <= labels.items() and machine == slice_.machine_type:
            return slice_
    return None


def user_of(pod: Object) -> str:
    """Return the job that a pod is of, or itself, as namespace/name."""
    metadata = pod["metadata"]
    return f"{metadata['namespace']}/{metadata.get('labels', {}).get(JOBSET_LABEL, metadata['name'])}"


def _node(node: Object, resource: str, chips: int, used: int, users: frozenset[str]) -> Node:
    return Node(
        name=node["metadata"]["name"],
        labels=node["metadata"].get("labels", {}),
        taints=tuple(node["spec"].get("taints") or ()),
        is_ready=holds(node, "Ready"),
        is_cordoned=bool(node["spec"].get("unschedulable")),
        resource=resource,
        chips=chips,
        used=used,
        users=users,
    )


def _chips(pod: Object) -> int:
    """Return how many accelerators a pod has."""
    found = Decimal(0)
    for container in pod["spec"]["containers"]:
        resources = container.get("resources", {})
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        found += sum(amount(asked.get(resource)) for resource in RESOURCES)
    return int(found)
