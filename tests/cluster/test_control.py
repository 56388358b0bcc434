import pytest

from mdctl.cluster.control import cancel, refuse_running, remove, resume, suspend
from mdctl.spec.errors import ClusterError
from tests.cluster.plane.pods import EXIT_CODE, LINGER
from tests.cluster.rendered import JOB, rendered

QUEUES = ("queue.name=accelerators", "queue.name=null")
KINDS = ("JobSet", "Job", "Pod", "Service", "Workload")


def left(plane, namespace):
    """Return how many objects of each kind a namespace has."""
    return {kind: len(plane.api.objects(kind, namespace)) for kind in KINDS}


NOTHING = dict.fromkeys(KINDS, 0)


@pytest.mark.nodes("tpu7x")
@pytest.mark.parametrize("queue", QUEUES)
def test_a_job_stops_goes_on_and_is_cancelled(plane, cluster, namespace, queue):
    jobset = cluster.create(rendered(namespace, "slice=tpu7x-16", queue, labels={LINGER: "1s"}))
    plane.pods.running(namespace, JOB, 2)
    said = []
    suspend(cluster, jobset, said.append)
    assert said[0] == f"job {JOB}: 2 pods have yet to stop, with at most 300 s to save"
    assert not [pod for pod in plane.pods.of(namespace, JOB) if pod["status"]["phase"] not in ("Succeeded", "Failed")]
    status = plane.api.get("JobSet", JOB, namespace)["status"]
    assert status.get("restarts", 0) == 0
    with pytest.raises(ClusterError, match=r"is not over, and writes to the same directory.*mdctl cancel trial"):
        refuse_running(cluster, jobset)
    resume(cluster, jobset)
    plane.pods.running(namespace, JOB, 2)
    cancel(cluster, jobset, said.append)
    assert left(plane, namespace) == NOTHING


@pytest.mark.nodes("tpu7x")
@pytest.mark.parametrize("queue", QUEUES)
def test_nothing_is_left_of_a_deleted_job(plane, cluster, namespace, queue):
    jobset = cluster.create(rendered(namespace, "slice=tpu7x-16", queue))
    plane.pods.running(namespace, JOB, 2)
    remove(cluster, jobset, print)
    assert left(plane, namespace) == NOTHING


@pytest.mark.nodes("v5e-8")
@pytest.mark.parametrize("queue", QUEUES)
def test_nothing_is_left_of_an_expired_job(plane, cluster, namespace, queue):
    overrides = ("slice=v5e-8", queue, "restarts.ttlSecondsAfterFinished=0")
    cluster.create(rendered(namespace, *overrides, labels={EXIT_CODE: "0"}))
    plane.api.until_gone("JobSet", namespace)
    plane.api.until_gone("Workload", namespace)
    assert left(plane, namespace) == NOTHING


def test_a_job_that_waits_in_its_queue_is_cancelled_too(plane, cluster, namespace):
    plane.queues.create(namespace, {"tpu7x": 4})
    jobset = cluster.create(rendered(namespace, "slice=tpu7x-16", "queue.name=accelerators"))
    cancel(cluster, jobset, print)
    assert left(plane, namespace) == NOTHING


def test_a_job_that_is_not_there_any_more_is_gone(plane, cluster, namespace):
    jobset = cluster.create(rendered(namespace))
    remove(cluster, jobset, print)
    remove(cluster, jobset, print)
    assert left(plane, namespace) == NOTHING


def test_another_job_of_that_name_is_not_deleted_for_it(plane, cluster, namespace):
    old = cluster.create(rendered(namespace))
    remove(cluster, old, print)
    new = cluster.create(rendered(namespace))
    remove(cluster, old, print)
    assert plane.api.get("JobSet", JOB, namespace)["metadata"]["uid"] == new["metadata"]["uid"]


@pytest.mark.nodes("v5e-8")
@pytest.mark.parametrize("act", [suspend, cancel, lambda cluster, jobset, _: resume(cluster, jobset)])
def test_what_is_over_is_left_as_it_is(plane, cluster, namespace, act):
    cluster.create(rendered(namespace, "slice=v5e-8", labels={EXIT_CODE: "0"}))
    ended = plane.api.until_one(lambda job: job.get("status", {}).get("terminalState"), "JobSet", JOB, namespace)
    refuse_running(cluster, ended)
    with pytest.raises(ClusterError, match=r"is over \(Completed\), so there is nothing to .*mdctl delete trial"):
        act(cluster, ended, print)
