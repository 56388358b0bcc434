"""A job that fans out, on a real control plane: where its pods go, and what follows from how each ends."""

import pytest

from mdctl.cluster.apply import create
from mdctl.cluster.client import connect
from mdctl.render.jobset import render_jobset
from tests.cluster.plane.pods import JOBSET, is_running, place
from tests.cluster.plane.webhooks import OLD_JOBSET
from tests.render.golden import recipe_job

JOB = "fan"
KUBERNETES_JOB = f"{JOB}-slice-0"
INDEX = "batch.kubernetes.io/job-completion-index"


def rendered(namespace, *overrides, slice_="v6e-8", queue="accelerators"):
    words = [f"run_name={JOB}", f"slice={slice_}", "num_slices=2", "output_dir=gs://b/o", *overrides]
    queued = [f"queue.name={queue}"] if queue else []
    job = recipe_job("generate-wan", *words, *queued, "sampling={prompts: [], prompts_file: gs://b/p}")
    jobset = render_jobset(job)
    jobset["metadata"]["namespace"] = namespace
    return jobset


@pytest.fixture
def run(plane, namespace):
    """Create the job, and return the hand on it."""

    def run(*overrides, **options):
        plane.api.create(rendered(namespace, *overrides, **options))
        return Run(plane, namespace)

    return run


class Run:
    """The pods of the job by their index, and its end."""

    def __init__(self, plane, namespace):
        self.plane = plane
        self.namespace = namespace

    def pods(self, condition):
        """Wait until the pods are as wanted, and return them."""
        return self.plane.api.until(condition, "Pod", self.namespace, labelSelector=f"{JOBSET}={JOB}")

    def running(self, *indexes):
        """Wait until exactly these indexes run, and return their pods."""
        pods = self.pods(lambda pods: sorted(place(pod)[1] for pod in pods if is_running(pod)) == list(indexes))
        return {place(pod)[1]: pod for pod in pods if is_running(pod)}

    def anew(self, pod):
        """Wait until another pod of the same index runs in place of one, and return it."""
        uid, index = pod["metadata"]["uid"], place(pod)[1]

        def another(pods):
            return [p for p in pods if is_running(p) and place(p)[1] == index and p["metadata"]["uid"] != uid]

        return another(self.pods(another))[0]

    def finish(self, pod, code):
        self.plane.pods.finish(pod, code)

    def job(self, condition):
        """Wait until the Job's status is as wanted, and return it."""
        found = self.plane.api.until_one(
            lambda job: condition(job.get("status", {})), "Job", KUBERNETES_JOB, self.namespace
        )
        return found["status"]

    def ended(self):
        """Return the JobSet's terminal state and its restarts, and the reason of the Job's failure."""
        jobset = self.plane.api.until_one(
            lambda found: found.get("status", {}).get("terminalState"), "JobSet", JOB, self.namespace
        )["status"]
        failed = [each for each in self.job(lambda status: True)["conditions"] if each["type"] == "Failed"]
        return jobset["terminalState"], jobset.get("restarts", 0), failed[0]["reason"] if failed else None


def variables(pod):
    return {each["name"]: each for each in pod["spec"]["containers"][0]["env"]}


@pytest.mark.nodes("v6e-8")
@pytest.mark.parametrize("queue", ["accelerators", "topology", None])
def test_each_program_has_a_slice_of_its_own_and_is_no_host_of_a_larger_one(run, queue):
    topology = ["queue.topology=cloud.google.com/gke-nodepool"] if queue == "topology" else []
    job = run(*topology, queue=queue)
    pods = job.running(0, 1)
    assert len({pod["spec"]["nodeName"] for pod in pods.values()}) == 2
    for index, pod in pods.items():
        assert pod["metadata"]["labels"][INDEX] == str(index)
        assert {"MDCTL_SHARD", "MDCTL_SHARDS"} <= variables(pod).keys()
        assert not {"TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "MDCTL_COORDINATOR"} & variables(pod).keys()
    assert not job.plane.api.objects("Service", job.namespace)
    for pod in pods.values():
        job.finish(pod, 0)
    assert job.ended() == ("Completed", 0, None)


@pytest.mark.nodes("a3-mega")
def test_programs_on_gpus_have_a_machine_each(run):
    pods = run(slice_="a3-mega:1").running(0, 1)
    assert len({pod["spec"]["nodeName"] for pod in pods.values()}) == 2


@pytest.mark.nodes("v6e-8")
def test_a_mistake_ends_all_programs_at_once(run):
    job = run()
    pods = job.running(0, 1)
    job.finish(pods[1], 2)
    assert job.ended() == ("Failed", 0, "PodFailurePolicy")
    assert not any(is_running(pod) for pod in job.plane.pods.of(job.namespace, JOB))


@pytest.mark.nodes("v6e-8")
def test_what_would_fail_again_ends_one_program_and_the_job_fails_once_the_others_are_done(run):
    job = run()
    pods = job.running(0, 1)
    job.finish(pods[0], 3)
    assert job.job(lambda status: status.get("failedIndexes"))["failedIndexes"] == "0"
    job.running(1)
    job.finish(pods[1], 0)
    assert job.job(lambda status: status.get("completedIndexes"))["completedIndexes"] == "1"
    assert job.ended() == ("Failed", 0, "FailedIndexes")


@pytest.mark.nodes("v6e-8")
def test_preemption_and_eviction_are_not_counted_where_a_single_crash_would_be_one_too_many(run):
    job = run("restarts.max=0")
    pods = job.running(0, 1)
    job.finish(pods[0], 75)
    job.plane.pods.evict(pods[1])
    again = {index: job.anew(pod) for index, pod in pods.items()}
    assert not job.job(lambda status: True).get("failedIndexes")
    job.finish(again[0], 137)
    assert job.job(lambda status: status.get("failedIndexes"))["failedIndexes"] == "0"
    job.finish(again[1], 0)
    assert job.ended() == ("Failed", 0, "FailedIndexes")


@pytest.mark.nodes("v6e-8")
def test_each_program_has_crashes_of_its_own(run):
    job = run("restarts.max=1")
    pods = job.running(0, 1)
    for pod in pods.values():
        job.finish(pod, 1)
    again = {index: job.anew(pod) for index, pod in pods.items()}
    for pod in again.values():
        job.finish(pod, 0)
    assert job.ended() == ("Completed", 0, None)


@pytest.mark.matrix  # the node's loss is believed after 40 s
@pytest.mark.nodes("v6e-8")
def test_a_lost_node_costs_its_program_nothing_but_time(run):
    job = run("restarts.max=0")
    pods = job.running(0, 1)
    job.plane.nodes.remove(pods[1]["spec"]["nodeName"])
    job.running(0)
    job.plane.nodes.restore("v6e-8")
    again = job.anew(pods[1])
    assert not job.job(lambda status: True).get("failedIndexes")
    job.finish(again, 0)
    job.finish(pods[0], 0)
    assert job.ended() == ("Completed", 0, None)


@pytest.mark.nodes("v6e-8")
def test_who_comes_back_after_a_higher_priority_is_who_was_not_done(run):
    job = run("queue.priority=low")
    pods = job.running(0, 1)
    job.finish(pods[0], 0)
    job.job(lambda status: status.get("completedIndexes") == "0")
    urgent = rendered(job.namespace, "queue.priority=high")
    urgent["metadata"]["name"] = "urgent"
    job.plane.api.create(urgent)
    job.plane.pods.running(job.namespace, "urgent", 2)
    job.plane.pods.finish_all(job.namespace, "urgent")
    again = job.anew(pods[1])
    assert job.job(lambda status: True)["completedIndexes"] == "0"
    job.finish(again, 0)
    assert job.ended() == ("Completed", 0, None)


def test_the_server_takes_it_in_all_its_forms_and_as_older_clusters_have_it(plane, namespace):
    jobset = rendered(namespace, slice_="v5e-1", queue=None)  # a slice that no pool has, so that nothing runs
    cluster = connect(kubeconfig=str(plane.kubeconfig))
    assert create(jobset, cluster)["state"] == "created"
    assert create(jobset, cluster)["state"] == "unchanged"
    stored = plane.api.get("JobSet", JOB, namespace)["spec"]
    assert stored["network"]["enableDNSHostnames"] is False
    assert stored["replicatedJobs"][0]["template"]["spec"]["backoffLimitPerIndex"] == 5
    plane.api.create(jobset | {"apiVersion": f"{OLD_JOBSET}/v1alpha2"}, dryRun="All", fieldValidation="Strict")
