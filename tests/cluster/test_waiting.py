import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.control import remove, suspend
from mdctl.cluster.goals import Goal
from mdctl.cluster.waiting import wait_for
from mdctl.spec.errors import ClusterError
from tests.cluster.plane.api import PATIENCE
from tests.cluster.plane.pods import EXIT_CODE, is_running
from tests.cluster.rendered import JOB, rendered


@pytest.fixture
def waits(cluster):
    """Return a function that waits for the job in a thread: its result is the exit code, `heard` is what it said."""
    pool = ThreadPoolExecutor(4)
    heard = []

    def start(goal, **more):
        begun = threading.Event()

        def say(line):
            heard.append(line)
            begun.set()

        future = pool.submit(wait_for, cluster, JOB, goal, say=say, **more)
        assert begun.wait(PATIENCE)
        return future

    start.heard = heard
    yield start
    pool.shutdown(wait=False)


@pytest.mark.nodes("tpu7x")
def test_each_change_is_told_until_the_job_has_completed(plane, cluster, namespace, waits):
    cluster.create(rendered(namespace, "slice=tpu7x-16"))
    running, completed, over, failed = (waits(goal) for goal in (Goal.RUNNING, Goal.COMPLETED, Goal.OVER, Goal.FAILED))
    assert running.result(60) == 0
    assert not completed.done()
    plane.pods.running(namespace, JOB, 2)
    plane.pods.finish_all(namespace, JOB)
    assert (completed.result(60), over.result(60), failed.result(60)) == (0, 0, 1)
    assert f"{JOB}: Running: 2 hosts run" in waits.heard
    assert f"{JOB}: Completed: every host is done" in waits.heard
    assert wait_for(cluster, JOB, Goal.RUNNING, say=print) == 0
    assert wait_for(cluster, JOB, Goal.SUSPENDED, say=print) == 1


@pytest.mark.nodes("tpu7x")
@pytest.mark.parametrize(("code", "given"), [(2, 2), (3, 3), (137, 1)])
def test_a_job_that_fails_gives_the_code_of_the_host_that_failed_first(plane, cluster, namespace, code, given):
    cluster.create(rendered(namespace, "slice=tpu7x-16", "restarts.max=0"))
    pods = plane.pods.running(namespace, JOB, 2)
    plane.pods.finish(pods[1], code)
    said = []
    assert wait_for(cluster, JOB, Goal.COMPLETED, say=said.append) == given
    assert f"{JOB}: Failed: host 1 left with {code}" in said[-1]
    assert wait_for(cluster, JOB, Goal.FAILED, say=print) == 0


@pytest.mark.nodes("v5e-8")
@pytest.mark.parametrize("queue", ["queue.name=accelerators", "queue.name=null"])
def test_a_job_whose_hours_are_used_up_has_not_completed(plane, cluster, namespace, queue):
    cluster.create(rendered(namespace, "slice=v5e-8", "restarts.maxHours=0.0005", queue))
    said = []
    assert wait_for(cluster, JOB, Goal.COMPLETED, say=said.append) == 75
    assert said[-1].endswith("its hours are used up (restarts.maxHours)")


@pytest.mark.nodes("v5e-8")
def test_a_job_is_suspended_once_its_pods_are_gone(plane, cluster, namespace, waits):
    jobset = cluster.create(rendered(namespace, "slice=v5e-8", "queue.name=accelerators"))
    plane.pods.running(namespace, JOB, 1)
    suspended, completed = waits(Goal.SUSPENDED), waits(Goal.COMPLETED)
    suspend(cluster, jobset, print)
    assert suspended.result(60) == 0
    assert [pod for pod in plane.pods.of(namespace, JOB) if is_running(pod)] == []
    assert not completed.done()


def test_a_job_that_is_deleted_will_not_complete(cluster, namespace, waits):
    jobset = cluster.create(rendered(namespace))
    deleted, completed = waits(Goal.DELETED), waits(Goal.COMPLETED)
    remove(cluster, jobset, print)
    assert deleted.result(60) == 0
    with pytest.raises(ClusterError, match="job trial was deleted before it was completed"):
        completed.result(60)
    assert wait_for(cluster, JOB, Goal.DELETED, say=print) == 0
    with pytest.raises(ClusterError, match="no job is called 'trial'"):
        wait_for(cluster, JOB, Goal.COMPLETED, say=print)


def test_a_wait_has_an_end(cluster, namespace):
    cluster.create(rendered(namespace))
    assert wait_for(cluster, JOB, Goal.RUNNING, seconds=0.5, say=print) is None


@pytest.mark.nodes("v5e-8")
def test_a_role_that_may_not_see_workloads_waits_all_the_same(plane, namespace):
    from tests.cluster.test_preflight import allow

    see = ["get", "list", "watch"]
    user = allow(plane, namespace, {"jobsets": see, "jobs": see, "pods": see})
    plane.api.create(rendered(namespace, "slice=v5e-8", "queue.name=accelerators", labels={EXIT_CODE: "0"}))
    cluster = connect(kubeconfig=str(plane.kubeconfig_for(user)), namespace=namespace)
    assert wait_for(cluster, JOB, Goal.COMPLETED, say=print) == 0


@pytest.mark.alone
@pytest.mark.nodes("v5e-8")
def test_a_wait_goes_on_over_a_restart_of_the_api_server(plane, cluster, namespace, waits):
    cluster.create(rendered(namespace, "slice=v5e-8"))
    plane.pods.running(namespace, JOB, 1)
    completed = waits(Goal.COMPLETED)
    plane.restart_apiserver()
    plane.pods.finish_all(namespace, JOB)
    assert completed.result(60) == 0
    assert any("no cluster answers at" in line for line in waits.heard)
