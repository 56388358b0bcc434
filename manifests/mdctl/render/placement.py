"""Which nodes take the pods, and what keeps the hosts of one slice on one slice: one mechanism for each job.

    the queue names a topology       Kueue's topology-aware scheduling: each slice within one domain of that level
    TPU slices of several hosts      one node pool is one slice: JobSet places one Job in each pool, exclusively
    GPUs, single-host TPU slices     neither: any nodes of the kind; exclusive placement would repel other jobs from
                                     pools that hold many slices

Tolerations are written out although GKE adds some of them, because Kueue compares them with its flavours earlier.
"""

from typing import Any

from mdctl.spec.job import JobSpec
from mdctl.spec.slices import Slice

Object = dict[str, Any]

TOOLKIT_TAINT = "user-workload"
"""What Cluster Toolkit, and so xpk, taints GPU nodes with besides."""
LOST_NODE_SECONDS = 30
"""A pod whose node is gone is evicted after this; the default is ten times as long, and its peers wait for it."""


def jobset_annotations(spec: JobSpec, slice_: Slice) -> dict[str, str]:
    """Return what the JobSet says about placement."""
    if spec.queue.topology is not None or slice_.kind != "tpu" or slice_.hosts == 1:
        return {}
    return {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"}


def pod_annotations(spec: JobSpec, slice_: Slice) -> dict[str, str]:
    """Return what the pods say about placement."""
    if spec.queue.topology is None:
        return {}
    return {
        "kueue.x-k8s.io/podset-slice-required-topology": spec.queue.topology,
        "kueue.x-k8s.io/podset-slice-size": str(slice_.hosts),
    }


def node_selector(spec: JobSpec, slice_: Slice) -> dict[str, str]:
    """Return the labels of the nodes: of the slice, of the capacity, of the placement policy."""
    capacity = spec.capacity
    labels = dict(slice_.node_selector)
    if capacity.type == "spot":
        labels["cloud.google.com/gke-spot"] = "true"
    if capacity.type == "flex-start":
        labels["cloud.google.com/gke-flex-start"] = "true"
    if capacity.reservation is not None:
        labels["cloud.google.com/reservation-name"] = capacity.reservation
    if capacity.placement_policy is not None:
        labels["cloud.google.com/placement-policy-name"] = capacity.placement_policy
    return labels


def tolerations(spec: JobSpec, slice_: Slice) -> list[Object]:
    """Return the taints that the pods accept, and for how long they accept the loss of their node."""
    assert slice_.resource is not None
    accepted = [slice_.resource]
    if slice_.kind == "gpu":
        accepted.append(TOOLKIT_TAINT)
    if spec.capacity.type == "spot":
        accepted.append("cloud.google.com/gke-spot")
    if spec.capacity.type == "flex-start":
        accepted += ["cloud.google.com/gke-flex-start", "cloud.google.com/gke-queued"]
    lost = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    return [
        *({"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in accepted),
        *(
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_NODE_SECONDS}
            for key in lost
        ),
    ]
