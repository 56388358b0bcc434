"""What is installed on a cluster once, and that doing it again changes nothing."""

import copy
import zipfile
from importlib.resources import files

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from mdctl.cluster.client import connect
from mdctl.cluster.installing import Change, carry_out, plan
from mdctl.cluster.manifests import CRD, FLAVOR, PRIORITIES, QUEUE, RBAC, TOPOLOGIES
from mdctl.cluster.presets import QueuePreset
from mdctl.cluster.quotas import flavors, queue
from mdctl.spec.errors import ClusterError
from tests.cli.conftest import folder, mdctl
from tests.cluster.plane.api import holds
from tests.cluster.plane.components import REPOSITORY
from tests.cluster.plane.nodes import POOLS
from tests.cluster.rendered import JOB, rendered

__all__ = ["folder", "mdctl"]

OURS = "app.kubernetes.io/managed-by=mdctl"
SHARED = ("ClusterQueue", "ResourceFlavor", "WorkloadPriorityClass", "Topology", "ClusterRole")
"""Kinds of what a namespace does not take with it."""


@pytest.fixture
def cluster(plane, namespace):
    """Yield a cluster to install on, which nobody else installs on meanwhile, and leave nothing there."""
    with plane.claim(["installation"]):
        yield connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)
        plane.api.delete_all("JobSet", namespace, propagationPolicy="Foreground")  # they hold the queue
        plane.api.until_gone("JobSet", namespace)
        plane.api.delete("LocalQueue", "mdctl", namespace)
        for kind in SHARED:
            for each in plane.api.objects(kind, labelSelector=OURS):
                plane.api.delete(kind, each["metadata"]["name"])
            plane.api.until_gone(kind, labelSelector=OURS)


def changes(steps):
    return {step.name: step.change for step in steps}


def install(cluster, preset):
    return [step.name for step in carry_out(cluster, plan(cluster, preset))]


def pool_nodes():
    return [pool.node(index) for pool in POOLS for index in range(pool.size)]


def test_kustomize_reads_the_same_files():
    folder = REPOSITORY / "manifests/install"
    listed = set()
    for kustomization in folder.glob("*/kustomization.yaml"):
        listed |= {
            f"{kustomization.parent.name}/{name}" for name in yaml.safe_load(kustomization.read_text())["resources"]
        }
    assert listed == {*CRD, *RBAC, PRIORITIES, FLAVOR, QUEUE}
    assert {str(path.relative_to(folder)) for path in folder.glob("*/*.yaml")} == {
        *listed,
        TOPOLOGIES,
        *(f"{name}/kustomization.yaml" for name in ("crd", "rbac", "queues")),
    }
    assert files("mdctl.install").joinpath("kustomization.yaml").is_file()


def test_a_wheel_holds_them(tmp_path):
    [wheel] = WheelBuilder(str(REPOSITORY)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"mdctl/install/{name}" for name in (*CRD, *RBAC, PRIORITIES, FLAVOR, QUEUE, TOPOLOGIES)} <= set(names)
    assert len(names) == len(set(names))


def test_each_kind_of_pool_has_a_flavour_and_all_its_chips_are_the_quota():
    spot = copy.deepcopy(pool_nodes()[0])
    spot["metadata"]["labels"]["cloud.google.com/gke-spot"] = "true"
    spot["spec"]["taints"].append({"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"})
    spot["spec"]["taints"].append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    found, quotas = flavors([*pool_nodes(), spot], QueuePreset.ACCELERATORS)
    by_name = {each["metadata"]["name"]: each["spec"] for each in found}
    assert quotas["v5p-64"] == {"google.com/tpu": 64}
    assert quotas["v5p-64-spot"] == {"google.com/tpu": 4}
    assert quotas["a3-mega"] == {"nvidia.com/gpu": 16}
    assert by_name["v5p-64"]["nodeLabels"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5p-slice",
        "cloud.google.com/gke-tpu-topology": "2x4x4",
    }
    assert by_name["v5p-64-spot"]["nodeLabels"]["cloud.google.com/gke-spot"] == "true"
    assert [taint["key"] for taint in by_name["v5p-64-spot"]["nodeTaints"]] == [
        "google.com/tpu",
        "cloud.google.com/gke-spot",
    ]


@pytest.mark.parametrize(
    ("preset", "covered"),
    [
        (QueuePreset.ACCELERATORS, [["google.com/tpu"], ["nvidia.com/gpu"]]),
        (QueuePreset.EVERYTHING, [["google.com/tpu", "nvidia.com/gpu", "cpu", "memory"]]),
        (QueuePreset.TOPOLOGY, [["google.com/tpu"], ["nvidia.com/gpu"]]),
    ],
)
def test_what_a_queue_covers(preset, covered):
    [cluster_queue, _] = queue(flavors(pool_nodes(), preset)[1], None, preset)
    assert [group["coveredResources"] for group in cluster_queue["spec"]["resourceGroups"]] == covered


def test_a_quota_is_never_lowered():
    before = queue({"v5p-64": {"google.com/tpu": 64}, "v6e-8": {"google.com/tpu": 8}}, None, QueuePreset.ACCELERATORS)[
        0
    ]
    after = queue({"v5p-64": {"google.com/tpu": 32}}, before, QueuePreset.ACCELERATORS)[0]
    assert after["spec"]["resourceGroups"] == before["spec"]["resourceGroups"]


@pytest.mark.parametrize("preset", [QueuePreset.ACCELERATORS, QueuePreset.EVERYTHING, QueuePreset.TOPOLOGY])
def test_the_server_takes_all_of_it_and_a_second_time_changes_nothing(plane, cluster, namespace, preset):
    first = plan(cluster, preset)
    assert {step.change for step in first} <= {Change.CREATE, Change.UNCHANGED, Change.LEFT_ALONE}
    assert plane.api.find("Role", "mdctl-user", namespace) is None  # a plan changes nothing
    done = [step.name for step in carry_out(cluster, first)]
    assert {"role/mdctl-user", "clusterqueue/mdctl", "localqueue/mdctl"} <= set(done)
    plane.api.until_one(lambda found: holds(found, "Active"), "LocalQueue", "mdctl", namespace)
    assert install(cluster, preset) == []


@pytest.mark.nodes("v6e-8")
def test_a_job_runs_through_the_queue(plane, cluster, namespace):
    install(cluster, QueuePreset.ACCELERATORS)
    plane.api.create(rendered(namespace, "slice=v6e-8", "queue={name: mdctl, priority: medium}"))
    plane.pods.running(namespace, JOB, 1)


def test_what_differs_is_shown_and_brought_back(plane, cluster, namespace):
    install(cluster, QueuePreset.NONE)
    plane.api.patch("Role", "mdctl-user", {"rules": []}, namespace)
    [step] = [each for each in plan(cluster, QueuePreset.NONE) if each.name == "role/mdctl-user"]
    assert step.change is Change.CHANGE
    assert "+  - jobsets" in step.difference
    assert install(cluster, QueuePreset.NONE) == ["role/mdctl-user"]


def test_what_is_somebody_elses_is_left_alone(plane, cluster, namespace):
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    plane.api.create({**role, "metadata": {"name": "mdctl-user", "namespace": namespace}})
    assert changes(plan(cluster, QueuePreset.NONE))["role/mdctl-user"] is Change.LEFT_ALONE
    assert "role/mdctl-user" not in install(cluster, QueuePreset.NONE)
    assert plane.api.get("Role", "mdctl-user", namespace).get("rules") is None


def test_another_preset_for_the_same_queue_is_refused(cluster):
    install(cluster, QueuePreset.ACCELERATORS)
    with pytest.raises(ClusterError, match="made with --queue-preset accelerators, not everything; keep it"):
        plan(cluster, QueuePreset.EVERYTHING)


def test_the_verb_prints_first_and_asks(plane, cluster, namespace, mdctl):
    where = ("--kubeconfig", str(plane.kubeconfig), "-n", namespace, "--queue-preset", "none")
    looked = mdctl("cluster", "install", *where, "--dry-run")
    assert looked.code == 0
    assert "role/mdctl-user " in looked.out
    assert "would be applied; nothing was changed" in looked.err
    asked = mdctl("cluster", "install", *where)
    assert asked.code == 2
    assert asked.err.endswith(
        "error: nothing was changed: there is nobody to ask; add --yes, or --dry-run to only look\n"
    )
    assert plane.api.find("Role", "mdctl-user", namespace) is None
    done = mdctl("cluster", "install", *where, "--yes")
    assert done.code == 0
    assert "role/mdctl-user: done" in done.err
    assert f"kubectl create rolebinding mdctl-users --role mdctl-user --group GROUP -n {namespace}" in done.err
    assert mdctl("cluster", "install", *where).err.endswith("everything is as it should be\n")


def test_who_may_not_install_is_told_so(plane, namespace, mdctl):
    nobody = str(plane.kubeconfig_for("nobody"))
    shown = mdctl("cluster", "install", "--kubeconfig", nobody, "-n", namespace, "--dry-run")
    assert shown.code == 2
    assert "you may not; ask the cluster's administrator" in shown.err
