"""Who may look at one namespace only is told what could be told, and what could not be looked at."""

import pytest

from tests.cluster.answers import names, until_why
from tests.cluster.rendered import JOB
from tests.cluster.roles import SUBMITTER, allowed

QUEUED = "queue.name=accelerators"


@pytest.fixture
def restricted(plane, namespace):
    return allowed(plane, namespace, SUBMITTER)


@pytest.mark.nodes("v5e-8")
def test_the_queue_is_full(plane, namespace, restricted, submit):
    plane.queues.create(namespace, {"v5e-8": 8})
    submit("slice=v5e-8", QUEUED, name="first")
    plane.pods.running(namespace, "first", 1)
    submit("slice=v5e-8", QUEUED, name="second")
    until_why(restricted, "second", "queue accelerators is full")
    submit("slice=v5e-8", QUEUED)
    why = until_why(restricted, JOB, "1 job, in this namespace, waits before it: second")
    assert names(why) == ["first", "second", JOB]
    assert why.unread == (
        "LocalQueues of other namespaces",
        "Workloads of other namespaces",
        f"ClusterQueue {namespace}-accelerators",
        "ResourceFlavors",
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["slice=v5e-8", "queue.name=nosuch"],
            "has no queue 'nosuch'; there are: accelerators, everything, topology",
        ),
        (
            ["slice=v6e-8", QUEUED, "resources={cpu: '8'}"],
            "queue accelerators does not cover, so it is never admitted",
        ),
        (["slice=v5p-64", "num_slices=3", QUEUED], "never has more than 64 (flavour v5p), so it is never admitted"),
        (["slice=v5e-16", QUEUED], "has nothing for nodes with gke-tpu-accelerator=tpu-v5-lite-podslice"),
        (["slice=v5e-8", QUEUED, "queue.priority=nosuch"], "Kueue has not taken it up yet (queue accelerators)"),
    ],
)
def test_what_can_never_be_is_said_so(restricted, submit, overrides, words):
    submit(*overrides)
    until_why(restricted, JOB, words)


def test_there_is_no_such_pool(restricted, submit):
    submit("slice=v5p-128")
    why = until_why(restricted, JOB, "the scheduler finds no node with gke-tpu-accelerator=tpu-v5p-slice, gke-tpu-")
    assert why.unread == ("nodes (these credentials may not)",)


@pytest.mark.nodes("v6e-16")
def test_others_use_them(plane, namespace, restricted, submit):
    submit("slice=v6e-16", name="busy")
    plane.pods.running(namespace, "busy", 4)
    submit("slice=v6e-16")
    until_why(
        restricted,
        JOB,
        "the nodes with gke-tpu-accelerator=tpu-v6e-slice, gke-tpu-topology=4x4 have no TPU chips left",
    )


def test_who_may_not_even_read_events(plane, namespace, submit):
    blind = allowed(plane, namespace, {"jobsets": ["get", "list"], "jobs": ["list"], "pods": ["list"]})
    submit("slice=v6e-8", "service_account=nosuch")
    until_why(blind, JOB, "1 of its pods are not made yet; why, events tell")
    submit("slice=v5e-8", QUEUED, name="queued")
    why = until_why(blind, "queued", "it waits in queue accelerators; what for, its Workload tells")
    assert "Workloads" in why.unread
