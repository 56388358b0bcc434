"""Jobs for clusters that xpk made: its JobSet's definition takes them, and its kind of queue runs them."""

import pytest

from mdctl.render.jobset import render_jobset
from mdctl.render.xpk import LABEL, QUEUE, check, preset
from mdctl.spec.merging import merge
from mdctl.spec.reading import parse_job
from tests.cli.conftest import folder, mdctl
from tests.cluster.plane.api import ApiError
from tests.cluster.plane.webhooks import OLD_JOBSET
from tests.render.golden import DATA, FAMILIES, recipe_job

__all__ = ["folder", "mdctl"]

WORDS = ("--image", "repo/i:1", "--output-dir", "gs://b/run", "data.path=gs://b/clips")


def old_jobset(namespace, family):
    job = recipe_job("train-wan", "run_name=w", f"slice={family}", "image=repo/i:1", *DATA)
    data = merge(preset("w", family), job.model_dump(mode="json", by_alias=True, exclude_unset=True))
    job = parse_job(merge(data, {"metadata": {"namespace": namespace}}), where="test")
    check(job)
    return {**render_jobset(job), "apiVersion": f"{OLD_JOBSET}/v1alpha2"}


@pytest.mark.parametrize("family", FAMILIES)
def test_jobset_0_10_takes_the_job(plane, namespace, family):
    stored = plane.api.create(old_jobset(namespace, family), dryRun="All")
    assert stored["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == QUEUE


def test_jobset_0_10_does_not_take_everything(plane, namespace):
    jobset = old_jobset(namespace, "v5p-64")
    jobset["spec"]["noSuchField"] = 1
    with pytest.raises(ApiError, match="unknown field"):
        plane.api.create(jobset, dryRun="All")


@pytest.mark.nodes("v6e-16")
def test_a_job_runs_in_xpks_queue(plane, namespace, mdctl):
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue"}
    spec = {"clusterQueue": f"{namespace}-accelerators"}
    plane.api.create({**queue, "metadata": {"name": QUEUE, "namespace": namespace}, "spec": spec})
    place = ("-n", namespace, "--kubeconfig", str(plane.kubeconfig))
    words = ("submit", "train-wan", "--name", "w", "--slice", "v6e-16", "--preset", "xpk", *WORDS, *place)
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 500}
    with plane.claim(["priority-medium"]):
        plane.api.apply({**priority, "metadata": {"name": "medium"}})
        submitted = mdctl(*words)
        assert submitted.code == 0, submitted.err
        pods = plane.pods.running(namespace, "w", 4)
        plane.api.delete("PriorityClass", "medium")
    assert {pod["metadata"]["labels"][LABEL] for pod in pods} == {"w"}
    [workload] = plane.api.objects("Workload", namespace)
    assert workload["metadata"]["ownerReferences"][0]["name"] == "w"  # what `xpk workload list` goes by
