"""Jobs of every machine family run to their end, on exactly the nodes that are theirs: placed by Kubernetes, by Kueue.

All jobs of a test run at once. A TPU slice has a node pool to itself, or one machine of a pool; so have GPUs.
"""

from collections import defaultdict
from dataclasses import dataclass

import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.preflight import examine
from mdctl.cluster.security import ENFORCE
from mdctl.render.jobset import render_jobset
from tests.cluster.matrix.history import History, all_run, uids
from tests.cluster.plane.nodes import POOL
from tests.cluster.plane.pods import JOBSET, STOP_CODE, place
from tests.render.golden import recipe_job

BLOCK = "cloud.google.com/gce-topology-block"
DATA = ("output_dir=gs://my-bucket/trial", "data.path=gs://my-bucket/clips")


@dataclass(frozen=True)
class Wish:
    """A job: its name, slices and pools; `more` are overrides."""

    name: str
    slice: str
    pools: frozenset[str]
    slices: int = 1
    more: tuple[str, ...] = ()

    def jobset(self, namespace, queue, level, *overrides, labels=None):
        queued = f"queue={{name: {queue}, topology: {level}}}" if level else f"queue.name={queue}"
        words = (f"run_name={self.name}", f"slice={self.slice}", f"num_slices={self.slices}", queued)
        job = recipe_job("train-wan", *words, *DATA, *self.more, *overrides)
        job.metadata.labels.update(labels or {})
        jobset = render_jobset(job)
        jobset["metadata"]["namespace"] = namespace
        return jobset


def wish(name, slice_, *pools, slices=1):
    return Wish(name, slice_, frozenset(pools), slices)


TPUS = (
    wish("v5p", "v5p-64", "v5p-a", "v5p-b", slices=2),
    wish("v6e", "v6e-16", "v6e-16"),
    wish("tpu7x", "tpu7x-16", "tpu7x-16"),
    wish("v5e", "v5e-8", "v5e-8"),
    wish("v6e-one", "v6e-8", "v6e-8"),
    wish("v6e-two", "v6e-8", "v6e-8"),
)
GPUS = (
    wish("mega", "a3-mega:2", "a3-mega"),
    wish("ultra-one", "a3-ultra:1", "a3-ultra"),
    wish("ultra-two", "a3-ultra:1", "a3-ultra"),
)
QUEUES = [pytest.param("accelerators", id="queued"), pytest.param("topology", id="placed")]


@pytest.mark.parametrize("queue", QUEUES)
def test_tpu_jobs_of_every_family_in_the_strictest_namespace(plane, queue):
    families = ["v5p", "v6e-16", "tpu7x", "v5e-8", "v6e-8"]
    with plane.fresh_namespace(families, {ENFORCE: "restricted"}) as namespace:
        run(plane, namespace, TPUS, queue, POOL if queue == "topology" else None)


@pytest.mark.nodes("a3-mega", "a3-ultra")
@pytest.mark.parametrize("queue", QUEUES)
def test_gpu_jobs_of_every_family(plane, namespace, queue):
    run(plane, namespace, GPUS, queue, BLOCK if queue == "topology" else None)


def test_gpu_jobs_that_need_host_paths_are_told_which_profile_is_in_their_way(plane):
    with plane.fresh_namespace(labels={ENFORCE: "restricted"}) as namespace:
        cluster = connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)
        for wanted in GPUS:
            problems = examine(cluster, wanted.jobset(namespace, "accelerators", None)).problems
            if wanted.slice.endswith(":1"):
                assert problems == []
            else:
                assert [f"namespace {namespace} enforces the Pod Security profile 'restricted'" in problems[0]] == [
                    True
                ]
                assert "hostPath" in problems[0]


def run(plane, namespace, wishes, queue, level):
    """Let jobs run at once; each must be on nodes of its own, each slice in one pool, and end well."""
    with History(plane.api, namespace) as history:
        jobsets = {each.name: each.jobset(namespace, queue, level) for each in wishes}
        for jobset in jobsets.values():
            plane.api.create(jobset)
        taken = []
        for each in wishes:
            pods = plane.pods.running(namespace, each.name, _hosts(jobsets[each.name]))
            check_places(plane, each, pods)
            taken += [pod["spec"]["nodeName"] for pod in pods]
        assert len(taken) == len(set(taken))
        for each in wishes:
            plane.pods.finish_all(namespace, each.name)
        for each in wishes:
            assert ended(plane, namespace, each.name) == ("Completed", 0)
    assert history.attempts == dict.fromkeys(jobsets, 1)
    assert not history.overlaps


def check_places(plane, wanted, pods):
    """Every slice is in a pool of its own, one of those that it may be in, and on nodes of its kind."""
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in plane.api.objects("Node")}
    pools = defaultdict(set)
    for pod in pods:
        labels = nodes[pod["spec"]["nodeName"]]
        assert pod["spec"]["nodeSelector"].items() <= labels.items()
        pools[place(pod)[0]].add(labels[POOL])
    assert all(len(each) == 1 for each in pools.values()), pools
    used = [pool for each in pools.values() for pool in each]
    assert sorted(used) == sorted(set(used))
    assert set(used) <= wanted.pools
    assert len(used) == wanted.slices


@pytest.mark.nodes("tpu7x", "v6e-16")
def test_a_higher_priority_takes_the_place_and_the_victim_comes_back(plane, namespace):
    pairs = {
        "accelerators": (wish("low", "tpu7x-16"), wish("high", "tpu7x-16"), None),
        "topology": (wish("low-placed", "v6e-16"), wish("high-placed", "v6e-16"), POOL),
    }
    with History(plane.api, namespace) as history:
        victims = {}
        for queue, (low, _, level) in pairs.items():
            # told to stop, they do not even save: it makes no difference
            jobset = low.jobset(namespace, queue, level, "queue.priority=low", labels={STOP_CODE: "137"})
            plane.api.create(jobset)
            victims[low.name] = jobset
        before = {name: plane.pods.running(namespace, name, _hosts(jobset)) for name, jobset in victims.items()}
        for queue, (low, high, level) in pairs.items():
            plane.api.create(high.jobset(namespace, queue, level, "queue.priority=high"))
            plane.pods.running(namespace, high.name, _hosts(victims[low.name]))
            assert plane.api.get("JobSet", low.name, namespace)["spec"]["suspend"] is True
            plane.pods.finish_all(namespace, high.name)
        for low, high, _ in pairs.values():
            assert ended(plane, namespace, high.name) == ("Completed", 0)
            came_back(plane, namespace, low.name, before[low.name])
            plane.pods.finish_all(namespace, low.name)
            assert ended(plane, namespace, low.name) == ("Completed", 0)
    assert not history.overlaps


def came_back(plane, namespace, name, before):
    """Wait until all hosts of a job run again, each as another pod."""
    plane.api.until(
        lambda pods: all_run(pods, len(before), uids(before)), "Pod", namespace, labelSelector=f"{JOBSET}={name}"
    )


def ended(plane, namespace, name):
    """Return how a job ended, and after how many restarts."""
    status = plane.api.until_one(lambda job: job.get("status", {}).get("terminalState"), "JobSet", name, namespace)[
        "status"
    ]
    return status["terminalState"], status.get("restarts", 0)


def _hosts(jobset):
    group = jobset["spec"]["replicatedJobs"][0]
    return group["replicas"] * group["template"]["spec"]["parallelism"]
