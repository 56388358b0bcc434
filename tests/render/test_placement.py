import pytest

from mdctl.render.placement import jobset_annotations, node_selector, pod_annotations, tolerations
from tests.render.golden import recipe_job

EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"
REQUIRED = "kueue.x-k8s.io/podset-slice-required-topology"


def placed(*overrides):
    spec = recipe_job("train-wan", *overrides).spec
    return spec, spec.resolved_slice


@pytest.mark.parametrize(
    ("slice_", "topology", "mechanism"),
    [
        ("v5p-64", "null", EXCLUSIVE),
        ("ct6e-standard-4t:2", "null", EXCLUSIVE),
        ("v6e-8", "null", None),
        ("h200-16", "null", None),
        ("v5p-64", "cloud.google.com/gke-nodepool", REQUIRED),
        ("v6e-8", "kubernetes.io/hostname", REQUIRED),
        ("h200-16", "cloud.google.com/gce-topology-block", REQUIRED),
    ],
)
def test_each_job_has_one_mechanism(slice_, topology, mechanism):
    spec, resolved = placed(f"slice={slice_}", f"queue={{name: q, topology: {topology}}}")
    annotations = jobset_annotations(spec, resolved) | pod_annotations(spec, resolved)
    assert {EXCLUSIVE, REQUIRED} & set(annotations) == ({mechanism} if mechanism else set())


def test_topology_aware_scheduling_keeps_all_hosts_of_a_slice_together():
    spec, slice_ = placed("num_slices=2", "queue={name: q, topology: cloud.google.com/gke-nodepool}")
    assert pod_annotations(spec, slice_)["kueue.x-k8s.io/podset-slice-size"] == "8"


@pytest.mark.parametrize(
    ("capacity", "labels", "accepted"),
    [
        ("{type: on-demand}", {}, []),
        ("{type: spot}", {"cloud.google.com/gke-spot": "true"}, ["cloud.google.com/gke-spot"]),
        (
            "{type: flex-start}",
            {"cloud.google.com/gke-flex-start": "true"},
            ["cloud.google.com/gke-flex-start", "cloud.google.com/gke-queued"],
        ),
        ("{type: reservation, reservation: mine}", {"cloud.google.com/reservation-name": "mine"}, []),
        ("{placementPolicy: cube}", {"cloud.google.com/placement-policy-name": "cube"}, []),
    ],
)
def test_capacity_selects_nodes_and_accepts_their_taints(capacity, labels, accepted):
    spec, slice_ = placed("slice=tpu7x-16", f"capacity={capacity}")
    assert node_selector(spec, slice_) == slice_.node_selector | labels
    keys = [toleration["key"] for toleration in tolerations(spec, slice_) if toleration["effect"] == "NoSchedule"]
    assert keys == ["google.com/tpu", *accepted]


def test_a_lost_node_is_tolerated_for_half_a_minute():
    lost = [toleration for toleration in tolerations(*placed()) if toleration["effect"] == "NoExecute"]
    assert [toleration["tolerationSeconds"] for toleration in lost] == [30, 30]
    assert {toleration["key"] for toleration in lost} == {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    }
