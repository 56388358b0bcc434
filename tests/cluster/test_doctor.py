"""What `mdctl doctor` finds on a real control plane, and what it makes of clusters that lack something."""

import json

import pytest

from mdctl.cluster import doctor
from mdctl.cluster.client import connect
from mdctl.cluster.doctor import Level, diagnose
from mdctl.spec.errors import ClusterError
from tests.buckets import bucket, buckets, emulator
from tests.cli.conftest import folder, mdctl

__all__ = ["bucket", "buckets", "emulator", "folder", "mdctl"]


@pytest.fixture
def cluster(plane, namespace):
    """Yield a cluster whose Deployments nobody changes meanwhile."""
    with plane.claim(["deployments"]):
        yield connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)


def levels(checks):
    return {level: {check.name for check in checks if check.level is level} for level in Level}


def one(checks, name):
    [found] = [check for check in checks if check.name == name]
    return found


def deployment(namespace, name, image):
    labels = {"app": name}
    spec = {"containers": [{"name": "manager", "image": image}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def test_all_is_well_here(cluster):
    found = list(diagnose(cluster, "accelerators"))
    assert levels(found)[Level.FAIL] == set()
    assert "Kubernetes v1.36" in one(found, "cluster").said
    assert one(found, "sample job").said == "accepted in a dry run"
    assert "submit" in one(found, "permissions").said
    assert [check.said.partition(",")[0] for check in found if check.name == "queue"] == [
        "accelerators",
        "everything",
        "topology",
    ]
    assert "v5p-64: 16 of 16 nodes are ready, in v5p-a, v5p-b" in [check.said for check in found]


@pytest.mark.parametrize(
    ("image", "level", "said"),
    [
        ("registry.k8s.io/jobset/jobset:v0.12.0", Level.OK, "0.12.0"),
        ("registry.k8s.io/jobset/jobset:v0.10.1@sha256:" + "0" * 64, Level.OK, "0.10.1"),
        ("registry.k8s.io/jobset/jobset:v0.9.1", Level.FAIL, "0.9.1, and jobs need 0.10.1 or later"),
        (
            "localhost:5000/jobset/jobset:main",
            Level.OK,
            "there; image localhost:5000/jobset/jobset:main tells no version",
        ),
    ],
)
def test_a_version_is_what_the_controllers_image_says(cluster, namespace, image, level, said):
    made = cluster.create(deployment(namespace, "jobset-controller-manager", image))
    found = one(diagnose(cluster), "JobSet")
    cluster.delete(made, propagation="Background")
    assert (found.level, found.said) == (level, said)


def test_who_may_do_nothing_is_told_what_for_each_verb(plane, namespace):
    found = list(diagnose(connect(kubeconfig=str(plane.kubeconfig_for("nobody")), namespace=namespace)))
    assert levels(found)[Level.FAIL] == {"permissions"}
    refused = [check for check in found if check.name == "permissions"]
    assert refused[0].said.startswith("submit: you may not create Jobs, create JobSets, create Pods and ")
    bind = f"kubectl create rolebinding mdctl-users --role mdctl-user --user NAME -n {namespace}"
    assert {check.fix for check in refused} == {bind}
    assert one(found, "sample job").level is Level.WARN
    assert one(found, "node pools").said == "not readable with these credentials"


def test_a_namespace_that_is_not_there_is_named(plane):
    found = list(diagnose(connect(kubeconfig=str(plane.kubeconfig), namespace="nowhere")))
    assert one(found, "namespace").level is Level.FAIL
    assert one(found, "namespace").fix.startswith("kubectl create namespace nowhere")
    assert one(found, "queue").fix == "mdctl cluster install -n nowhere"


def test_a_queue_of_the_settings_that_is_not_there_is_named_with_those_there_are(cluster, namespace):
    found = [check for check in diagnose(cluster, "research") if check.level is Level.FAIL]
    assert [check.said for check in found] == [f"research, which `mdctl config` names, is not in namespace {namespace}"]
    assert found[0].fix.startswith("`mdctl config set queue NAME` to one of accelerators, everything, topology, or ")


def test_a_strict_namespace_is_fine_for_tpus(plane):
    with plane.fresh_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        found = list(diagnose(connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)))
    assert "Pod Security profile restricted; for GPU jobs of several machines" in one(found, "namespace").said
    assert one(found, "sample job").level is Level.OK


@pytest.mark.nodes("v6e-16")
def test_a_pool_that_has_lost_a_node_is_shown(plane, cluster):
    plane.nodes.lose("gke-test-v6e-16-3")
    said = [check for check in diagnose(cluster) if check.said.startswith("v6e-16: 3 of 4 nodes are ready")]
    assert [check.level for check in said] == [Level.WARN]


class Without:
    """A cluster that answers as if something were not there."""

    def __init__(self, cluster, *missing, version=None):
        self._cluster = cluster
        self._missing = missing
        self._version = version

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def ask(self, path):
        if path in self._missing:
            raise ClusterError(f"/{path}: the server could not find the requested resource", status=404)
        answer = self._cluster.ask(path)
        return answer | {"gitVersion": self._version} if path == "version" and self._version else answer


def test_a_cluster_without_jobset_gets_the_command_that_installs_it(cluster):
    found = list(diagnose(Without(cluster, "apis/jobset.x-k8s.io/v1alpha2")))
    assert (one(found, "JobSet").level, one(found, "JobSet").fix) == (Level.FAIL, doctor.INSTALL_JOBSET)
    assert "sample job" not in {check.name for check in found}


@pytest.mark.parametrize(
    ("missing", "level", "said"),
    [
        (("apis/kueue.x-k8s.io/v1beta2", "apis/kueue.x-k8s.io"), Level.WARN, "not there: jobs start at once"),
        (("apis/kueue.x-k8s.io/v1beta2",), Level.FAIL, "it does not serve kueue.x-k8s.io/v1beta2"),
    ],
)
def test_kueue_may_be_missing_but_not_too_old(cluster, missing, level, said):
    found = one(diagnose(Without(cluster, *missing)), "Kueue")
    assert found.level is level
    assert found.said.startswith(said)
    assert doctor.INSTALL_KUEUE in found.fix


def test_an_old_kubernetes_is_refused_with_the_reason(cluster):
    found = one(diagnose(Without(cluster, version="v1.30.9-gke.1")), "cluster")
    assert found.level is Level.FAIL
    assert "jobs need Kubernetes 1.31 or later" in found.fix


def test_the_verb_prints_a_line_for_each_and_leaves_with_2(plane, namespace, mdctl):
    where = ("-n", namespace, "--kubeconfig")
    well = mdctl("doctor", *where, str(plane.kubeconfig))
    assert well.code == 0
    assert well.out.startswith("ok    cluster      https://127.0.0.1:")
    assert "warn  image        none is set: each job must name one\n" in well.out
    assert "-> build it from the Dockerfile" in well.out
    ill = mdctl("doctor", *where, str(plane.kubeconfig_for("nobody")), "-o", "json")
    assert ill.code == 2
    assert {each["level"] for each in json.loads(ill.out)} == {"ok", "warn", "fail"}


def test_without_a_cluster_it_says_so_and_looks_at_the_rest(mdctl, tmp_path):
    shown = mdctl("doctor", "--kubeconfig", str(tmp_path / "none"))
    assert shown.code == 2
    assert shown.out.startswith("fail  cluster      no cluster to talk to: ")
    assert "-> make one with `gcloud container clusters get-credentials" in shown.out
    assert "\nok    xpk " in shown.out


def test_the_bucket_of_the_settings_is_looked_into(mdctl, tmp_path, bucket):
    mdctl("config", "set", "output_dir", f"{bucket}/runs")
    none = ("doctor", "--kubeconfig", str(tmp_path / "none"))
    assert f"ok    output_dir   {bucket}/runs is readable from here, with 0 folders" in mdctl(*none).out
    mdctl("config", "set", "output_dir", "gs://nobody-has-this/runs")
    missing = mdctl(*none)
    assert "fail  output_dir   gs://nobody-has-this/runs: there is no such bucket\n" in missing.out
    assert "-> check its name" in missing.out
    mdctl("config", "set", "output_dir", "results")
    assert "warn  output_dir   results is a folder of this computer, which pods do not see" in mdctl(*none).out
