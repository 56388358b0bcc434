import pytest

from mdctl.render.checks import check_jobset
from mdctl.render.jobset import render_jobset
from mdctl.spec.errors import SpecError
from tests.render.golden import DATA, recipe_job

LABEL = "kueue.x-k8s.io/max-exec-time-seconds"


def rendered(*overrides):
    jobset = render_jobset(recipe_job("train-wan", *DATA, *overrides))
    check_jobset(jobset)
    return jobset


def job_spec(jobset):
    return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]


def rules(jobset):
    return [rule["name"] for rule in jobset["spec"]["failurePolicy"]["rules"]]


def test_in_a_queue_kueue_counts_the_time_of_all_attempts():
    jobset = rendered("restarts.maxHours=1.5", "queue.name=tpu")
    assert jobset["metadata"]["labels"][LABEL] == "5400"
    assert "activeDeadlineSeconds" not in job_spec(jobset)
    assert "outOfTime" not in rules(jobset)


def test_without_a_queue_an_attempt_that_is_out_of_time_is_the_last():
    jobset = rendered("restarts.maxHours=1.5")
    assert LABEL not in jobset["metadata"]["labels"]
    assert job_spec(jobset)["activeDeadlineSeconds"] == 5400
    assert rules(jobset)[-1] == "outOfTime"


def test_without_a_bound_there_is_none():
    jobset = rendered()
    assert "activeDeadlineSeconds" not in job_spec(jobset)
    assert rules(jobset) == ["failsAgain", "interrupted"]


def test_a_part_of_a_second_is_a_second():
    assert job_spec(rendered("restarts.maxHours=0.0001"))["activeDeadlineSeconds"] == 1


@pytest.mark.parametrize("hours", ["0", "-1", "true", "1000000"])
def test_hours_that_are_none_are_refused(hours):
    with pytest.raises(SpecError, match=r"spec.restarts.maxHours: "):
        recipe_job("train-wan", f"restarts.maxHours={hours}")


def test_the_label_is_not_the_users_to_set():
    with pytest.raises(SpecError, match=r"set restarts.maxHours"):
        recipe_job("train-wan", f"metadata.labels={{{LABEL}: '5'}}")
