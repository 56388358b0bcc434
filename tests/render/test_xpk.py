"""Jobs for clusters that xpk made."""

import pytest

from mdctl.render.checks import check_jobset
from mdctl.render.concerns import advice
from mdctl.render.jobset import render_jobset
from mdctl.render.xpk import LABEL, MAX_NAME, check, preset, xpk_type
from mdctl.spec.errors import SpecError
from mdctl.spec.merging import merge
from mdctl.spec.reading import parse_job
from mdctl.spec.slices import resolve_slice
from tests.render.golden import DATA, FAMILIES, recipe_job


def job_for_xpk(*overrides, name="w", slice_name="v5p-64"):
    job = recipe_job("train-wan", f"run_name={name}", f"slice={slice_name}", "image=repo/i:1", *overrides, *DATA)
    return parse_job(
        merge(preset(name, slice_name), job.model_dump(mode="json", by_alias=True, exclude_unset=True)), where="test"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_job_is_one_that_xpk_and_its_queue_know(family):
    jobset = render_jobset(job_for_xpk(slice_name=family))
    check_jobset(jobset)
    labels = jobset["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "multislice-queue"
    assert labels[LABEL] == "w"
    assert jobset["metadata"]["namespace"] == "default"
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    assert template["metadata"]["labels"][LABEL] == "w"
    assert template["spec"]["priorityClassName"] == "medium"


def test_what_the_job_says_itself_stays():
    job = job_for_xpk("queue={name: mine, podPriority: very-high}")
    check(job)
    assert (job.spec.queue.name, job.spec.queue.pod_priority) == ("mine", "very-high")


@pytest.mark.parametrize(
    ("slice_name", "policy"),
    [("tpu7x-16", "tpu7x-16-2x2x2-placement-policy"), ("tpu7x-8", None), ("v5p-64", None), ("v5p-nonsense", None)],
)
def test_slices_with_a_workload_policy_ask_for_xpks(slice_name, policy):
    assert preset("w", slice_name)["spec"].get("capacity", {}).get("placementPolicy") == policy


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["queue={name: multislice-queue, priority: high}"],
            "has no WorkloadPriorityClasses; set queue.podPriority instead, to one of very-low",
        ),
        (["queue.podPriority=urgent"], "queue.podPriority is 'urgent'; the cluster has very-low, low, medium, high"),
    ],
)
def test_what_such_a_cluster_does_not_have_is_refused(overrides, words):
    with pytest.raises(SpecError, match="--preset xpk:\n") as error:
        check(job_for_xpk(*overrides))
    assert words in str(error.value)


def test_a_name_that_xpk_does_not_take_is_refused():
    check(job_for_xpk(name="n" * MAX_NAME))
    with pytest.raises(SpecError, match=f"metadata.name has {MAX_NAME + 1} characters; xpk takes {MAX_NAME}"):
        check(job_for_xpk(name="n" * (MAX_NAME + 1)))


def test_cpu_and_memory_are_warned_of():
    found = advice(job_for_xpk("resources={cpu: '8', memory: 16Gi}"))
    assert [each.partition(":")[0] for each in found] == ["resources.cpu is '8'", "resources.memory is '16Gi'"]
    assert advice(recipe_job("train-wan", "image=repo/i:1", "resources={cpu: '8'}", *DATA)) == []


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("v5p-64", "v5p-2x4x4"),
        ("v5e-16", "v5litepod-4x4"),
        ("v6e-1", "v6e-1x1"),
        ("v6e-8", None),
        ("ct6e-standard-4t:2", "v6e-2x4"),
        ("v5e-4", None),
        ("v5p-4x4x260", None),
        ("h100-16", "h100-80gb-8"),
        ("h100-mega-8", "h100-mega-80gb-8"),
        ("cpu-8", None),
    ],
)
def test_a_slice_has_the_name_of_the_same_hosts(name, theirs):
    assert xpk_type(resolve_slice(name)) == theirs
