"""What a cluster has of each kind of slice, from nodes and quotas as objects."""

import pytest

from mdctl.cluster.capacity import admits, fits, free_slices, measure
from mdctl.cluster.pools import Pools, read_pools, slice_of
from mdctl.cluster.queues import QueueView
from mdctl.cluster.readable import NotReadable
from mdctl.spec.slices import resolve_slice
from tests.cluster.plane.nodes import POOLS

HIDDEN = NotReadable(what="x", why="may not")


def nodes(*names, ready=True):
    """Return the nodes of pools of the test cluster."""
    found = [pool.node(index) for pool in POOLS if pool.name in names for index in range(pool.size)]
    for node in found:
        node["status"]["conditions"] = [{"type": "Ready", "status": str(ready)}]
    return found


def pod(node, chips=4, resource="google.com/tpu", **labels):
    resources = {"limits": {resource: str(chips)}, "requests": {resource: str(chips)}}
    metadata = {"name": "p", "namespace": "research", "labels": labels}
    return {"metadata": metadata, "spec": {"nodeName": node, "containers": [{"resources": resources}]}}


def queue(left, *, flavor="v5p", cohort=None, active="True"):
    """Return a queue with so many chips of v5p left of 64."""
    quota = {"name": "google.com/tpu", "nominalQuota": "64"}
    groups = [{"coveredResources": ["google.com/tpu"], "flavors": [{"name": "v5p", "resources": [quota]}]}]
    used = [{"name": "v5p", "resources": [{"name": "google.com/tpu", "total": str(64 - left)}]}]
    slice_ = resolve_slice("v5p-64")
    taint = {"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"}
    labels = {"nodeLabels": slice_.node_selector, "nodeTaints": [taint]}
    conditions = [{"type": "Active", "status": active, "reason": "Stopped", "message": ""}]
    local = {"metadata": {"name": "tpu", "namespace": "n"}, "spec": {"clusterQueue": "all"}}
    return QueueView(
        name="tpu",
        namespace="n",
        local_queues=[{**local, "status": {"conditions": conditions}}],
        cluster_queue={"spec": {"resourceGroups": groups}, "status": {"flavorsReservation": used}},
        workloads=[],
        flavors=[{"metadata": {"name": flavor}, "spec": labels}],
    )


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.name)
def test_the_slice_of_a_pool_is_known_by_its_labels(pool):
    found = slice_of(pool.node(0)["metadata"]["labels"])
    assert (found.generation, found.topology) == (pool.resolved.generation, pool.resolved.topology)
    assert found.machine_type == pool.resolved.machine_type


def test_machine_types_tell_slices_of_one_topology_apart():
    labels = {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice",
        "cloud.google.com/gke-tpu-topology": "2x4",
        "node.kubernetes.io/instance-type": "ct6e-standard-4t",
    }
    assert slice_of(labels).name == "ct6e-standard-4t:2"
    assert slice_of({"cloud.google.com/gke-nodepool": "cpus"}) is None


def test_nodes_without_accelerators_are_in_no_pool():
    plain = {"metadata": {"name": "n", "labels": {}}, "spec": {}, "status": {"allocatable": {"cpu": "4"}}}
    assert read_pools([plain], []).pools == ()


def test_who_uses_nodes_is_known_by_job():
    job = {"jobset.sigs.k8s.io/jobset-name": "train"}
    pools = read_pools(nodes("v5p-a"), [pod("gke-test-v5p-a-0", **job), pod("gke-test-v5p-a-1", **job), pod("other")])
    [pool] = pools.pools
    assert (pool.users, len(pool.ready), len(pool.free)) == (["research/train"], 8, 6)


def test_a_slice_of_several_hosts_needs_a_pool_that_nobody_uses():
    pools = read_pools(nodes("v5p-a", "v5p-b"), [pod("gke-test-v5p-a-0")])
    assert free_slices(resolve_slice("v5p-64"), pools.pools) == 1
    assert free_slices(resolve_slice("v5p-64"), read_pools(nodes("v5p-a")[:7], []).pools) == 0


def test_single_hosts_and_gpus_are_counted_by_node():
    pools = read_pools(nodes("v6e-8", "a3-mega"), [pod("gke-test-v6e-8-0", 8)])
    assert free_slices(resolve_slice("v6e-8"), pools.matching(resolve_slice("v6e-8").node_selector)) == 1
    machines = pools.matching(resolve_slice("a3-mega:2").node_selector)
    assert [free_slices(resolve_slice(name), machines) for name in ("a3-mega:1", "a3-mega:2")] == [2, 1]


def test_nodes_that_are_not_to_be_used_are_not_free():
    lost, cordoned = nodes("v6e-8", ready=False), nodes("v6e-8")
    cordoned[0]["spec"]["unschedulable"] = True
    assert [len(read_pools(found, []).pools[0].free) for found in (lost, cordoned)] == [0, 1]


@pytest.mark.parametrize(("left", "count"), [(64, 2), (63, 1), (31, 0)])
def test_a_queue_admits_what_its_quota_leaves(left, count):
    assert admits(resolve_slice("v5p-64"), queue(left)) == count


def test_a_queue_admits_nothing_of_other_nodes_or_while_it_is_stopped():
    assert admits(resolve_slice("v6e-8"), queue(64)) == 0
    assert admits(resolve_slice("v5p-64"), queue(64, active="False")) == 0


def test_a_flavour_with_another_taint_is_none_for_a_slice():
    taints = [{"key": "team", "effect": "NoSchedule"}, {"key": "soft", "effect": "PreferNoSchedule"}]
    found = [fits(resolve_slice("v5p-64"), {"spec": {"nodeTaints": each}}) for each in (taints[:1], taints[1:], [])]
    assert found == [False, True, True]


def test_what_may_not_be_read_is_not_known():
    hidden = queue(64)
    blind = QueueView(**{**vars(hidden), "cluster_queue": HIDDEN})
    [row] = measure(HIDDEN, [blind], {}, resolve_slice("v5p-64"))
    assert (row.pools, row.free, row.queues) == (None, None, {"tpu": None})
    [row] = measure(read_pools(nodes("v5p-a"), HIDDEN), [hidden], {})
    assert (row.nodes, row.ready, row.free, row.queues) == (8, 8, None, {"tpu": 2})


def test_kinds_that_only_xpk_tells_of_are_listed_too():
    rows = measure(read_pools(nodes("v6e-8"), []), [], {"v5p-64": "16", "default-device": "?"})
    assert [(row.slice.name, row.nodes, row.xpk) for row in rows] == [("v5p-64", 0, "16"), ("v6e-8", 2, None)]


def test_the_nearest_pool_shares_most_labels():
    pools = read_pools(nodes("v5p-a", "v6e-16", "a3-mega"), [])
    assert pools.nearest(resolve_slice("v5p-128").node_selector).name == "v5p-a"
    assert pools.nearest(resolve_slice("v4-8").node_selector) is None
    assert Pools(pools=()).nearest({"a": "b"}) is None
