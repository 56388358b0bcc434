"""Fake nodes in pools like GKE's: labels, taints and capacities of each machine type, and what can befall a node."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from mdctl.spec.slices import Slice, resolve_slice
from tests.cluster.plane.api import Api, NotFoundError, Object, folder, holds

POOL = "cloud.google.com/gke-nodepool"
LOST = "mdctl.test/lost"
"""On a node: its kubelet says nothing any more. On a pod: it is on such a node."""

MACHINES = {
    "ct5p-hightpu-4t": (208, 448),
    "ct5lp-hightpu-8t": (224, 384),
    "ct6e-standard-4t": (180, 720),
    "ct6e-standard-8t": (180, 1440),
    "tpu7x-standard-4t": (224, 960),
    "a3-megagpu-8g": (208, 1872),
    "a3-ultragpu-8g": (224, 2952),
    "e2-standard-8": (8, 32),
}
"""Cores, and GiB of memory."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A node pool: a family that tests ask for by name, the slice its nodes make up or are, and how many there are."""

    name: str
    family: str
    slice: str
    size: int
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def resolved(self) -> Slice:
        """Return the slice."""
        return resolve_slice(self.slice)

    @property
    def node_names(self) -> list[str]:
        """Return the names of all its nodes."""
        return [f"gke-test-{self.name}-{index}" for index in range(self.size)]

    def node(self, index: int) -> Object:
        """Return a node of it."""
        slice_ = self.resolved
        assert slice_.machine_type
        assert slice_.resource
        cores, memory = MACHINES[slice_.machine_type]
        amounts = {"cpu": str(cores), "memory": f"{memory}Gi", "ephemeral-storage": "900Gi", "pods": "110"}
        amounts |= {slice_.resource: str(slice_.chips_per_host)}
        name = self.node_names[index]
        taint = {"key": slice_.resource, "value": "present", "effect": "NoSchedule"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {**_labels(self.name, slice_.machine_type, name), **slice_.node_selector, **self.labels},
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            },
            "spec": {"taints": [taint]},
            "status": {"capacity": amounts, "allocatable": amounts},
        }


POOLS = (
    Pool(name="v5p-a", family="v5p", slice="v5p-64", size=8),
    Pool(name="v5p-b", family="v5p", slice="v5p-64", size=8),
    Pool(name="v6e-16", family="v6e-16", slice="v6e-16", size=4),
    Pool(name="v6e-8", family="v6e-8", slice="v6e-8", size=2),
    Pool(name="v5e-8", family="v5e-8", slice="v5e-8", size=2),
    Pool(name="tpu7x-16", family="tpu7x", slice="tpu7x-16", size=2),
    Pool(name="a3-mega", family="a3-mega", slice="a3-mega:2", size=2),
    Pool(name="a3-ultra", family="a3-ultra", slice="a3-ultra:2", size=2),
)


class Nodes:
    """The nodes of a cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, pool: Pool) -> None:
        """Create the nodes of a pool that are not there."""
        there = {node["metadata"]["name"] for node in self._api.objects("Node", labelSelector=f"{POOL}={pool.name}")}
        for index, name in enumerate(pool.node_names):
            if name not in there:
                node = pool.node(index)
                self._api.create(node)
                self._api.patch("Node", name, {"status": node["status"]}, subresource="/status")

    @contextmanager
    def extra(self, pool: Pool) -> Iterator[Pool]:
        """Have one more pool meanwhile, such as a large one; it has a family of its own, which no flavour is for."""
        try:
            self.create(pool)
            self.until_ready(pool)
            yield pool
        finally:
            for name in pool.node_names:
                self.remove(name)

    def remove(self, name: str) -> None:
        """Delete a node, as the cloud does with one that it took away; its pods are lost."""
        self._api.delete("Node", name)

    def lose(self, name: str) -> None:
        """Let a node be NotReady, with its pods on it, which nobody stops or reports any more."""
        for pod in self._api.objects("Pod", fieldSelector=f"spec.nodeName={name}"):
            self._mark("Pod", pod, "true")
            self._not_ready(pod)
        self._mark("Node", self._api.get("Node", name), "true")
        self._api.until_one(lambda node: not ready(node), "Node", name)

    def restore(self, family: str) -> None:
        """Bring every pool of a family back to what it was, and wait until its nodes are ready."""
        for pool in (each for each in POOLS if each.family == family):
            self.bring_back(pool)

    def bring_back(self, pool: Pool) -> None:
        """Let every node of a pool be there and ready again, and see to its pods."""
        for pod in self._api.objects("Pod", labelSelector=LOST):
            if pod["spec"].get("nodeName") in pool.node_names:
                self._mark("Pod", pod, None)
        for node in self._api.objects("Node", labelSelector=f"{POOL}={pool.name},{LOST}"):
            self._mark("Node", node, None)
        self.create(pool)
        self.until_ready(pool)

    def until_ready(self, pool: Pool) -> None:
        """Wait until pods can go to every node of a pool."""
        self._api.until(
            lambda nodes: len(nodes) == pool.size and all(map(ready, nodes)),
            "Node",
            labelSelector=f"{POOL}={pool.name}",
        )

    def _mark(self, kind: str, each: Object, value: str | None) -> None:
        metadata = each["metadata"]
        with suppress(NotFoundError):
            self._api.patch(kind, metadata["name"], {"metadata": {"labels": {LOST: value}}}, metadata.get("namespace"))

    def _not_ready(self, pod: Object) -> None:
        """Say of a pod what the node controller says when a kubelet falls silent."""
        place, condition = pod["metadata"], {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
        path = f"{folder('Pod', place['namespace'])}/{place['name']}/status"
        patch = {"status": {"conditions": [condition]}}
        with suppress(NotFoundError):
            self._api.request("PATCH", path, {}, patch, "application/strategic-merge-patch+json")


def ready(node: Object) -> bool:
    """Say whether pods can go to a node."""
    taints = [taint["key"] for taint in node["spec"].get("taints", [])]
    return holds(node, "Ready") and not any(key.startswith("node.kubernetes.io/") for key in taints)


def _labels(pool: str, machine: str, name: str) -> dict[str, str]:
    """Return what GKE puts on every node: a pool is one block, and one sub-block of it."""
    return {
        POOL: pool,
        "node.kubernetes.io/instance-type": machine,
        "cloud.google.com/machine-family": machine.partition("-")[0],
        "cloud.google.com/gke-provisioning": "standard",
        "cloud.google.com/gce-topology-block": f"block-{pool}",
        "cloud.google.com/gce-topology-subblock": f"subblock-{pool}",
        "cloud.google.com/gce-topology-host": f"host-{name}",
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": "us-central2",
        "topology.kubernetes.io/zone": "us-central2-b",
    }
