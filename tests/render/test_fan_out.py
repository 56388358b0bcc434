import pytest

from mdctl.render import checks
from mdctl.render.fan_out import job_fields, jobset_fields
from mdctl.render.jobset import render_jobset
from mdctl.spec.errors import SpecError
from mdctl.spec.names import MAX_LABEL, name_budget, pod_hostname
from tests.render.golden import FOUR_SLICES, recipe_job

COUNTED = "Count"


def rendered(*overrides):
    jobset = render_jobset(recipe_job("generate-wan", *FOUR_SLICES, *overrides))
    (group,) = jobset["spec"]["replicatedJobs"]
    return jobset, group, group["template"]["spec"]


def outcome(code, *, disrupted=False):
    """Return what the Job does about a pod's end: the action of the first rule that fits, else it counts."""
    for rule in job_fields(5)["podFailurePolicy"]["rules"]:
        if code in rule.get("onExitCodes", {}).get("values", []) or (disrupted and "onPodConditions" in rule):
            return rule["action"]
    return COUNTED


@pytest.mark.parametrize(
    ("code", "expected"),
    [(2, "FailJob"), (3, "FailIndex"), (75, "Ignore")] + [(code, COUNTED) for code in (1, 76, 134, 137, 139, 143)],
)
def test_each_exit_code_has_its_consequence(code, expected):
    assert outcome(code) == expected


@pytest.mark.parametrize("code", [1, 75, 76, 137, 143])
def test_a_disruption_never_counts(code):
    assert outcome(code, disrupted=True) == "Ignore"


@pytest.mark.parametrize(("code", "expected"), [(2, "FailJob"), (3, "FailIndex")])
def test_what_fails_again_does_so_even_where_the_pod_was_being_evicted(code, expected):
    assert outcome(code, disrupted=True) == expected


def test_one_job_has_an_index_for_each_slice():
    _, group, job = rendered()
    assert group["replicas"] == 1
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 4)
    assert job["template"]["spec"]["containers"][0]["resources"]["limits"] == {"google.com/tpu": "8"}
    assert job["template"]["spec"]["restartPolicy"] == "Never", "or Kubernetes takes no podFailurePolicy"


def test_the_limit_is_that_of_each_index_and_the_jobset_restarts_nothing():
    jobset, _, job = rendered("restarts.max=7")
    assert job["backoffLimitPerIndex"] == 7
    assert "backoffLimit" not in job, "which is of all indexes together"
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] == 0
    (rule,) = jobset_fields()["failurePolicy"]["rules"]
    assert rule["action"] == "FailJobSet"
    assert not [condition for condition in rule if condition.startswith("on")], "whatever the Job fails of"


def test_pods_have_no_names_that_gke_would_take_for_hosts_of_one_slice():
    jobset, _, job = rendered()
    assert jobset["spec"]["network"] == {"enableDNSHostnames": False}
    assert "subdomain" not in job["template"]["spec"]


def test_gpus_of_slices_that_are_alone_need_no_network():
    alone, joined = (
        rendered("slice=h200-8", *more)[2]["template"] for more in ([], ["slice=h200-16", "batch.globalSize=4"])
    )
    assert "networking.gke.io/interfaces" not in alone["metadata"]["annotations"]
    assert "networking.gke.io/interfaces" in joined["metadata"]["annotations"]


def test_a_name_may_be_as_long_as_the_last_index_allows():
    longest = "a" * name_budget(1, 100)
    jobset, _, _ = rendered(f"run_name={longest}", "num_slices=100")
    assert len(pod_hostname(jobset["metadata"]["name"], 0, 99) + "-xxxxx") == MAX_LABEL
    with pytest.raises(SpecError, match="1 too many"):
        rendered(f"run_name={longest}a", "num_slices=100")


def test_training_is_still_refused_where_gke_joins_no_slices():
    with pytest.raises(SpecError, match="numSlices is 4, but slice v6e-8 has one host"):
        render_jobset(recipe_job("train-wan", "slice=v6e-8", "num_slices=4"))


@pytest.mark.parametrize("slice_", ["v6e-8", "v5e-1", "v5p-8", "tpu7x-8", "h100-8", "b200-8"])
def test_the_schemas_take_it_on_every_family(slice_):
    checks.check_jobset(rendered(f"slice={slice_}", "mesh.ici={fsdp: -1}")[0])
