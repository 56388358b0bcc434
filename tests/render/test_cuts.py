from mdctl.render.cuts import cut_job, cut_pod
from mdctl.render.jobset import render_jobset
from tests.render.golden import recipe_job

JOBSET = render_jobset(recipe_job("train-wan", "metadata.namespace=video"))


def test_the_first_job_and_its_first_pod_are_named_as_jobset_names_them():
    assert cut_job(JOBSET)["metadata"] == {"namespace": "video", "name": "train-wan-slice-0"}
    pod = cut_pod(JOBSET)["metadata"]
    assert (pod["namespace"], pod["name"]) == ("video", "train-wan-slice-0-0")
    assert pod["labels"]["mdctl.dev/task"] == "train"


def test_cutting_leaves_the_jobset_as_it_was():
    cut_job(JOBSET)["spec"]["parallelism"] = 99
    assert JOBSET["spec"]["replicatedJobs"][0]["template"]["spec"]["parallelism"] == 8
