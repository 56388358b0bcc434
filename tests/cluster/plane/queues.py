"""Kueue's objects: a flavour for each kind of pool, and queues that cover accelerators only, cpu and memory too, or
whole topologies. Queues belong to one namespace each, with quotas of their own, so tests do not wait for each other.

    accelerators    google.com/tpu and nvidia.com/gpu
    everything      cpu and memory as well
    topology        accelerators, placed by Kueue into a node pool (TPU) or a block (GPU)
"""

from collections.abc import Iterable, Sequence

from tests.cluster.plane.api import Api, Object, holds
from tests.cluster.plane.nodes import MACHINES, POOL, POOLS, Pool

KUEUE = "kueue.x-k8s.io/v1beta2"
QUEUES = ("accelerators", "everything", "topology")
PRIORITIES = {"low": 100, "high": 1000}

LEVELS = {
    "gke-tpu": ("cloud.google.com/gce-topology-block", POOL, "kubernetes.io/hostname"),
    "gke-gpu": (
        "cloud.google.com/gce-topology-block",
        "cloud.google.com/gce-topology-subblock",
        "cloud.google.com/gce-topology-host",
        "kubernetes.io/hostname",
    ),
}


class Queues:
    """The queues of a cluster, for the pools that it has."""

    def __init__(self, api: Api, pools: Sequence[Pool] = POOLS) -> None:
        self._api = api
        self._pools = pools

    def create_flavors(self) -> None:
        """Create what all queues share: topologies, flavours, priorities."""
        for each in _shared(self._pools):
            self._api.apply(each)

    def create(self, namespace: str, quotas: dict[str, int] | None = None) -> None:
        """Create the queues of a namespace; `quotas` bounds families to so many chips, or GPUs, instead of all."""
        for name in QUEUES:
            self._api.apply(cluster_queue(f"{namespace}-{name}", name, quotas or {}, self._pools))
            self._api.apply(
                {
                    "apiVersion": KUEUE,
                    "kind": "LocalQueue",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": {"clusterQueue": f"{namespace}-{name}"},
                }
            )
        self._api.until(
            lambda queues: len(queues) == len(QUEUES) and all(holds(queue, "Active") for queue in queues),
            "LocalQueue",
            namespace,
        )

    def delete(self, namespace: str) -> None:
        """Delete the ClusterQueues of a namespace, which it does not take with it."""
        for name in QUEUES:
            self._api.delete("ClusterQueue", f"{namespace}-{name}")


def cluster_queue(name: str, kind: str, quotas: dict[str, int], pools: Sequence[Pool] = POOLS) -> Object:
    """Return a ClusterQueue that lets a higher priority preempt a lower one."""
    covered = ["google.com/tpu", "nvidia.com/gpu", *(["cpu", "memory"] if kind == "everything" else [])]
    flavors = [
        {
            "name": f"{pool.family}-topology" if kind == "topology" else pool.family,
            "resources": [{"name": each, "nominalQuota": _amount(pool, each, quotas, pools)} for each in covered],
        }
        for pool in _families(pools)
    ]
    return {
        "apiVersion": KUEUE,
        "kind": "ClusterQueue",
        "metadata": {"name": name},
        "spec": {
            "namespaceSelector": {},
            "queueingStrategy": "BestEffortFIFO",
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [{"coveredResources": covered, "flavors": flavors}],
        },
    }


def _amount(pool: Pool, resource: str, quotas: dict[str, int], pools: Sequence[Pool]) -> str:
    """Return how much of a resource a family has, in all of its pools together."""
    slice_ = pool.resolved
    assert slice_.machine_type
    nodes = sum(each.size for each in pools if each.family == pool.family)
    if resource == slice_.resource:
        return str(quotas.get(pool.family, nodes * slice_.chips_per_host))
    cores, memory = MACHINES[slice_.machine_type]
    return {"cpu": str(nodes * cores), "memory": f"{nodes * memory}Gi"}.get(resource, "0")


def _shared(pools: Sequence[Pool]) -> Iterable[Object]:
    for name, levels in LEVELS.items():
        spec: Object = {"levels": [{"nodeLabel": level} for level in levels]}
        yield {"apiVersion": KUEUE, "kind": "Topology", "metadata": {"name": name}, "spec": spec}
    for pool in _families(pools):
        slice_ = pool.resolved
        spec = {
            "nodeLabels": slice_.node_selector,
            "nodeTaints": [{"key": slice_.resource, "value": "present", "effect": "NoSchedule"}],
        }
        yield {"apiVersion": KUEUE, "kind": "ResourceFlavor", "metadata": {"name": pool.family}, "spec": spec}
        yield {
            "apiVersion": KUEUE,
            "kind": "ResourceFlavor",
            "metadata": {"name": f"{pool.family}-topology"},
            "spec": {**spec, "topologyName": f"gke-{slice_.kind}"},
        }
    for name, value in PRIORITIES.items():
        yield {"apiVersion": KUEUE, "kind": "WorkloadPriorityClass", "metadata": {"name": name}, "value": value}
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }


def _families(pools: Sequence[Pool]) -> list[Pool]:
    """Return one pool of each family."""
    return list({pool.family: pool for pool in pools}.values())
