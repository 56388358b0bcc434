"""The control plane that other tests rely on is a real one, and its nodes and webhooks do what GKE's do."""

import copy
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from kubernetes import client, config
from kubernetes.stream import stream

from mdctl.render.jobset import render_jobset
from tests.cluster.plane import processes
from tests.cluster.plane.api import PATIENCE, ApiError, holds
from tests.cluster.plane.gke import variables
from tests.cluster.plane.nodes import POOL
from tests.cluster.plane.pods import EXIT_CODE, LINGER, STOP_CODE, WAITING, place
from tests.cluster.plane.processes import DiedError
from tests.cluster.plane.webhooks import OLD_JOBSET
from tests.render.golden import DATA, recipe_job

JOB = "trial"


def jobset(namespace, *overrides, queue="accelerators", **labels):
    job = recipe_job("train-wan", f"run_name={JOB}", f"queue.name={queue}", *overrides, *DATA)
    job.metadata.labels.update({key: str(value) for key, value in labels.items()})
    rendered = render_jobset(job)
    rendered["metadata"]["namespace"] = namespace
    return rendered


def until_job(plane, namespace, condition, name=JOB):
    return plane.api.until_one(lambda found: condition(found.get("status", {})), "JobSet", name, namespace)["status"]


def until(condition):
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        threading.Event().wait(0.01)


def pools_of(plane, pods):
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in plane.api.objects("Node")}
    return [(place(pod)[0], nodes[pod["spec"]["nodeName"]][POOL]) for pod in pods]


def environment(pod):
    return {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}


@pytest.mark.nodes("v5p")
def test_a_slice_is_admitted_and_fills_one_pool(plane, namespace):
    created = plane.api.create(jobset(namespace, "slice=v5p-64"))
    assert created["spec"]["suspend"] is True  # by Kueue's webhook
    pods = plane.pods.running(namespace, JOB, 8)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 8
    assert len({pool for _, pool in pools_of(plane, pods)}) == 1
    assert environment(pods[3])["TPU_WORKER_ID"] == "3"
    assert environment(pods[3])["TPU_WORKER_HOSTNAMES"].split(",")[7] == f"{JOB}-slice-0-7.{JOB}"
    assert "MEGASCALE_NUM_SLICES" not in environment(pods[3])
    plane.pods.finish_all(namespace, JOB)
    assert until_job(plane, namespace, lambda status: status.get("terminalState"))["terminalState"] == "Completed"


@pytest.mark.nodes("v5p")
def test_two_slices_take_a_pool_each_and_restart_uncounted_with_75(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v5p-64", "num_slices=2"))
    pods = plane.pods.running(namespace, JOB, 16)
    assert Counter(pools_of(plane, pods)).most_common() in (
        [((0, "v5p-a"), 8), ((1, "v5p-b"), 8)],
        [((0, "v5p-b"), 8), ((1, "v5p-a"), 8)],
    )
    assert environment(pods[9])["MEGASCALE_SLICE_ID"] == "1"
    assert environment(pods[9])["MEGASCALE_COORDINATOR_ADDRESS"] == f"{JOB}-slice-0-0.{JOB}"
    plane.pods.finish(pods[9], 75)
    status = until_job(plane, namespace, lambda status: status.get("restarts"))
    assert (status["restarts"], status.get("restartsCountTowardsMax", 0)) == (1, 0)
    again = plane.pods.running(namespace, JOB, 16)
    assert not {pod["metadata"]["uid"] for pod in pods} & {pod["metadata"]["uid"] for pod in again}


@pytest.mark.nodes("v5p")
def test_the_job_is_placed_by_a_topology(plane, namespace):
    level = f"queue={{name: topology, topology: {POOL}}}"
    plane.api.create(jobset(namespace, level, "slice=v5p-64", "num_slices=2", queue="topology"))
    pods = plane.pods.running(namespace, JOB, 16)
    assert sorted(Counter(pools_of(plane, pods)).values()) == [8, 8]


@pytest.mark.nodes("v6e-8")
def test_a_mistake_ends_the_job_with_its_last_words(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v6e-8"))
    [pod] = plane.pods.running(namespace, JOB, 1)
    plane.pods.write_log(pod, "one\ntwo")
    assert plane.pods.read_log(pod, tailLines="1") == "two\n"
    plane.pods.finish(pod, 2, "error: no such data set")
    status = until_job(plane, namespace, lambda status: status.get("terminalState"))
    assert (status["terminalState"], status.get("restarts", 0)) == ("Failed", 0)
    [failed] = plane.pods.of(namespace, JOB)
    ended = failed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (2, "error: no such data set")


@pytest.mark.nodes("v6e-8")
def test_a_followed_log_ends_with_its_container(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v6e-8"))
    [pod] = plane.pods.running(namespace, JOB, 1)
    plane.pods.write_log(pod, "old", at="2020-01-01T00:00:00Z")
    with ThreadPoolExecutor() as threads:
        followed = threads.submit(plane.pods.read_log, pod, follow="true", sinceTime="2021-01-01T00:00:00Z")
        plane.pods.write_log(pod, "new")
        plane.pods.finish(pod, 1)
        assert followed.result(PATIENCE) == "new\n"
    with pytest.raises(ApiError, match=r'previous terminated container "worker" in pod .* not found'):
        plane.pods.read_log(pod, previous="true")


@pytest.mark.nodes("v6e-8")
def test_a_command_runs_in_a_pod(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v6e-8"))
    [pod] = plane.pods.running(namespace, JOB, 1)
    core = client.CoreV1Api(config.new_client_from_config(str(plane.kubeconfig)))
    connect = core.connect_get_namespaced_pod_exec
    options = {"command": ["echo", "said"], "stdout": True, "stderr": True, "_preload_content": False}
    ran = stream(connect, pod["metadata"]["name"], namespace, **options)
    ran.run_forever(PATIENCE)
    ran.sock.shutdown()  # which `close` does only while it is open
    assert ran.read_all() == "said\n"


@pytest.mark.alone
@pytest.mark.nodes("v6e-8")
def test_the_api_server_is_killed_and_all_goes_on(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v6e-8"))
    [pod] = plane.pods.running(namespace, JOB, 1)
    with ThreadPoolExecutor() as threads:
        watched = threads.submit(until_job, plane, namespace, lambda status: status.get("terminalState"))
        plane.restart_apiserver()
        plane.pods.finish(pod, 0)
        assert watched.result(PATIENCE)["terminalState"] == "Completed"


@pytest.mark.nodes("v6e-8")
def test_marks_of_a_job_say_how_its_pods_live(plane, namespace):
    never = jobset(namespace, "slice=v6e-8", **{WAITING: "CreateContainerConfigError"})
    plane.api.create(never)
    [waiting] = plane.api.until(lambda pods: pods and pods[0]["status"].get("containerStatuses"), "Pod", namespace)
    assert waiting["status"]["phase"] == "Pending"
    assert waiting["status"]["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": "the container cannot be made",
    }
    plane.api.delete("JobSet", JOB, namespace)
    plane.api.until_gone("Pod", namespace)
    plane.api.create(jobset(namespace, "slice=v6e-8", **{EXIT_CODE: 0}))
    assert until_job(plane, namespace, lambda status: status.get("terminalState"))["terminalState"] == "Completed"


@pytest.mark.nodes("v6e-16")
def test_a_pod_takes_its_time_to_stop(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v6e-16", **{LINGER: "2s", STOP_CODE: 143}))
    pods = plane.pods.running(namespace, JOB, 4)
    plane.pods.evict(pods[1])
    name = pods[1]["metadata"]["name"]
    told = plane.api.until_one(lambda pod: "deletionTimestamp" in pod["metadata"], "Pod", name, namespace)
    assert told["status"]["phase"] == "Running"
    assert holds(told, "DisruptionTarget")
    status = until_job(plane, namespace, lambda status: status.get("restarts"))
    assert (status["restarts"], status.get("restartsCountTowardsMax", 0)) == (1, 0)


@pytest.mark.nodes("a3-mega")
def test_a_higher_priority_preempts(plane, namespace):
    high, low = (jobset(namespace, "slice=a3-mega:2", f"queue.priority={each}") for each in ("high", "low"))
    high["metadata"]["name"] = high["spec"]["network"]["subdomain"] = "urgent"
    plane.api.create(low)
    plane.pods.running(namespace, JOB, 2)
    plane.api.create(high)
    plane.pods.running(namespace, "urgent", 2)
    assert plane.api.get("JobSet", JOB, namespace)["spec"]["suspend"] is True
    plane.pods.finish_all(namespace, "urgent")
    plane.pods.running(namespace, JOB, 2)


@pytest.mark.nodes("tpu7x")
def test_a_lost_node_stops_the_job_and_comes_back(plane, namespace):
    plane.api.create(jobset(namespace, "slice=tpu7x-16"))
    pods = plane.pods.running(namespace, JOB, 2)
    plane.nodes.lose(pods[1]["spec"]["nodeName"])
    plane.api.until_one(lambda pod: not holds(pod, "Ready"), "Pod", pods[1]["metadata"]["name"], namespace)
    plane.nodes.remove(pods[0]["spec"]["nodeName"])
    plane.nodes.restore("tpu7x")
    assert len(plane.api.objects("Node", labelSelector=f"{POOL}=tpu7x-16")) == 2


def test_a_queue_refuses_what_it_does_not_cover(plane, namespace):
    plane.api.create(jobset(namespace, "slice=v6e-8", "resources={cpu: '8'}"))
    [workload] = plane.api.until(
        lambda found: found and found[0].get("status", {}).get("conditions"), "Workload", namespace
    )
    assert "resource cpu unavailable in ClusterQueue" in workload["status"]["conditions"][0]["message"]


def test_users_may_what_their_roles_say_and_are_counted(plane, namespace):
    from mdctl.cluster.client import connect

    wanted = jobset(namespace, "slice=v6e-8")
    stranger = connect(kubeconfig=str(plane.kubeconfig_for("stranger")))
    with pytest.raises(Exception, match="you may not"):
        stranger.find(wanted)
    admin = connect(kubeconfig=str(plane.kubeconfig_for(f"admin-{namespace}", ["test:admins"])))
    admin.create(wanted, dry_run=True)
    assert [entry["verb"] for entry in plane.requests(f"admin-{namespace}")] == ["create"]


def test_both_versions_of_jobset_judge(plane, namespace):
    wanted = jobset(namespace, "slice=v6e-8")
    old = {**copy.deepcopy(wanted), "apiVersion": f"{OLD_JOBSET}/v1alpha2"}
    plane.api.create(old, dryRun="All")
    old["spec"]["failurePolicy"]["restartStrategy"] = "InPlaceRestart"
    with pytest.raises(ApiError, match='Unsupported value: "InPlaceRestart"'):
        plane.api.create(old, dryRun="All")
    wanted["metadata"]["name"] = "a" * 60
    with pytest.raises(ApiError, match="job names generated for this JobSet will exceed 63"):
        plane.api.create(wanted, dryRun="All")


def test_gke_tells_its_place_only_to_pods_of_several():
    labels = {"batch.kubernetes.io/job-completion-index": "1", "batch.kubernetes.io/job-name": "j"}
    pod = {"metadata": {"labels": labels}, "spec": {"subdomain": "s"}}
    assert variables(pod, 2) == {"TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "j-0.s,j-1.s"}
    assert variables(pod, 1) == {}
    assert variables({**pod, "spec": {}}, 2) == {}


def test_a_component_that_dies_says_its_last_words(tmp_path):
    died = processes.start("short", ["sh", "-c", "echo first; echo last words >&2; exit 1"], tmp_path / "short.log")
    until(lambda: not died.alive)
    with pytest.raises(DiedError, match=r"short ended; its log .* closes with:\nfirst\nlast words"):
        died.check()


def test_a_component_that_will_not_stop_is_killed(tmp_path):
    log = tmp_path / "stubborn.log"
    stubborn = processes.start("stubborn", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], log)
    until(lambda: "ready" in log.read_text())
    stubborn.check()
    processes.stop([stubborn], patience=0.1)
    assert not stubborn.alive
