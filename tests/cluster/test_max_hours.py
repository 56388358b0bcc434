"""What the controllers do to a job whose hours are used up, and what a restart does to the count."""

import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.control import resume
from mdctl.spec.errors import ClusterError
from tests.cluster.plane.pods import LINGER
from tests.cluster.rendered import JOB, rendered

SECONDS = 20
"""Of a job in all: a crash and a restart must fit in, on a machine that is busy with other tests too."""
TOTAL = "accumulatedPastExecutionTimeSeconds"


def job(namespace, *overrides):
    hours = f"restarts.maxHours={SECONDS / 3600}"
    return rendered(namespace, "slice=v5e-8", hours, *overrides, labels={LINGER: "1s"})


def restart(plane, namespace):
    """Let a job crash once, and wait until it runs again; return its counted restarts."""
    [pod] = plane.pods.running(namespace, JOB, 1)
    plane.pods.finish(pod, 1)
    plane.api.until_one(lambda found: found.get("status", {}).get("restarts"), "JobSet", JOB, namespace)
    plane.pods.running(namespace, JOB, 1)


@pytest.mark.nodes("v5e-8")
def test_in_a_queue_the_hours_of_all_attempts_are_one_sum_and_the_job_is_suspended(plane, namespace):
    jobset = plane.api.create(job(namespace, "queue.name=accelerators"))
    restart(plane, namespace)
    plane.api.until(lambda found: found and found[0]["spec"]["active"] is False, "Workload", namespace)
    plane.api.until_gone("Pod", namespace)
    [workload] = plane.api.until(lambda found: TOTAL in found[0].get("status", {}), "Workload", namespace)
    assert SECONDS <= workload["status"][TOTAL] < 2 * SECONDS
    found = plane.api.get("JobSet", JOB, namespace)
    assert (found["spec"]["suspend"], found["status"]["restarts"]) == (True, 1)
    cluster = connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)
    with pytest.raises(ClusterError, match=r"has used up its hours.*mdctl resubmit trial restarts.maxHours="):
        resume(cluster, jobset)


@pytest.mark.nodes("v5e-8")
def test_without_a_queue_each_attempt_has_its_hours_and_the_job_fails_with_the_first_that_uses_them_up(
    plane, namespace
):
    plane.api.create(job(namespace))
    restart(plane, namespace)
    ended = plane.api.until_one(lambda found: found["status"].get("terminalState"), "JobSet", JOB, namespace)
    assert (ended["status"]["terminalState"], ended["status"]["restarts"]) == ("Failed", 1)
    [failed] = plane.api.objects("Job", namespace)
    assert {each["reason"] for each in failed["status"]["conditions"] if each["type"] == "Failed"} == {
        "DeadlineExceeded"
    }
