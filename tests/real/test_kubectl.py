"""Without the command line of mdctl on the cluster: `mdctl render ... | kubectl apply -f -`."""

import subprocess

import pytest

from tests.cluster.plane.api import holds
from tests.real.jobs import losses
from tests.real.parts import KUBECTL
from tests.real.training import training


@pytest.fixture
def kubectl(real, jobs):
    """Return kubectl with the cluster's kubeconfig."""

    def kubectl(*words, given=None):
        command = [KUBECTL.binary, "--kubeconfig", real.plane.kubeconfig, "--namespace", jobs.namespace, *words]
        return subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout

    return kubectl


@pytest.fixture
def rendered(jobs, demo, runs):
    """Return what `mdctl render` prints of a short training job."""

    def rendered(name):
        return jobs.mdctl("render", *jobs.words(*training(demo, f"{runs}/{name}", steps=2, slices=1), name=name)).stdout

    return rendered


def test_what_render_prints_kubectl_applies_and_it_trains(jobs, runs, rendered, kubectl):
    manifest = rendered("applied")
    assert "applied created" in kubectl("apply", "-f", "-", given=manifest)
    jobs.completed("applied")
    assert list(losses(f"{runs}/applied")) == [1, 2]


def test_a_job_of_a_schema_that_the_image_does_not_know_fails_at_once_and_by_name(jobs, rendered, kubectl):
    manifest = rendered("newer")
    kubectl("apply", "-f", "-", given=manifest.replace("mdctl.dev/v1alpha1", "mdctl.dev/v1beta9"))
    jobset = jobs.ended("newer")
    assert holds(jobset, "Failed")
    assert jobset["status"]["restarts"] == 0
    ends = [pod["status"]["containerStatuses"][0]["state"]["terminated"] for pod in jobs.pods("newer")]
    said = next(end["message"] for end in ends if end["exitCode"] == 2)
    assert "apiVersion is mdctl.dev/v1beta9" in said
    assert "reads mdctl.dev/v1alpha1" in said
