"""`xpk workload list` sees a job of `mdctl submit --preset xpk`: xpk as it is, and kubectl, on the test cluster.

What it lists are Kueue's Workloads, by the name of their owner. Before that it asks gcloud where the cluster is and for
its credentials: here a program of that name that says yes, for the kubeconfig is there already.
"""

import re
import shutil

import pytest

from mdctl.render.xpk import QUEUE
from tests.cluster.plane.api import holds
from tests.xpk.differences import PYTHON, ask

pytestmark = [
    pytest.mark.xpk,
    pytest.mark.skipif(not PYTHON.exists(), reason="no xpk here: `make xpk-test` installs it"),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here, which xpk runs"),
]

CLUSTER = ("--cluster=c", "--project=p", "--zone=us-central2-b", "--skip-validation", "--no-dependency-auto-download")
JOB = ("train-wan", "--name", "w", "--slice", "v6e-16", "--preset", "xpk", "--image", "repo/i:1")
DATA = ("--output-dir", "gs://b/run", "data.path=gs://b/clips")


@pytest.fixture
def listed(plane, namespace, tmp_path):
    """Return a function that gives the rows of xpk's list, by column."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gcloud").write_text("#!/bin/sh\n")
    (programs / "gcloud").chmod(0o755)
    (programs / "kubectl").symlink_to(shutil.which("kubectl"))
    kubeconfig = tmp_path / "kubeconfig"  # a copy: xpk sets its namespace
    shutil.copy(plane.kubeconfig, kubeconfig)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "KUBECONFIG": str(kubeconfig)}

    def run(*words):
        command = ("workload", "list", *CLUSTER, f"--namespace={namespace}", *words)
        [(code, said)] = ask([command], tmp_path, **environment)
        assert code == 0, said
        table = said.partition("Workload List Output:\n")[2].partition("\n[XPK]")[0]
        header, *rows = [re.split(r" {2,}", line.strip()) for line in table.splitlines()]
        return [dict(zip(header, row, strict=True)) for row in rows]

    return run


@pytest.fixture
def submitted(plane, namespace, mdctl):
    """Submit a job to what a cluster of xpk's has: its queue, and a class of priority."""
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue"}
    spec = {"clusterQueue": f"{namespace}-accelerators"}
    plane.api.create({**queue, "metadata": {"name": QUEUE, "namespace": namespace}, "spec": spec})
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 500}
    with plane.claim(["priority-medium"]):
        plane.api.apply({**priority, "metadata": {"name": "medium"}})
        found = mdctl("submit", *JOB, *DATA, "-n", namespace, "--kubeconfig", str(plane.kubeconfig))
        assert found.code == 0, found.err
        plane.pods.running(namespace, "w", 4)
        plane.api.delete("PriorityClass", "medium")


@pytest.mark.nodes("v6e-16")
def test_xpk_lists_our_job_as_one_of_its_own(plane, namespace, listed, submitted):
    """Of two conditions of one second xpk shows the first, so one that was admitted at once may be `QuotaReserved`."""
    [row] = listed()
    assert (row["Jobset Name"], row["Priority"]) == ("w", "medium")
    assert row["Status"] in ("Admitted", "QuotaReserved")
    assert (row["TPU/GPU VMs Needed"], row["TPU/GPU VMs Running/Ran"]) == ("4", "4")
    assert [each["Jobset Name"] for each in listed("--filter-by-job=w")] == ["w"]
    assert listed("--filter-by-job=other") == []
    plane.pods.finish_all(namespace, "w")
    plane.api.until_one(lambda job: job.get("status", {}).get("terminalState"), "JobSet", "w", namespace)
    plane.api.until(lambda found: all(holds(each, "Finished") for each in found), "Workload", namespace)
    assert [each["Jobset Name"] for each in listed("--filter-by-status=FINISHED")] == ["w"]
    assert listed("--filter-by-status=RUNNING") == []
