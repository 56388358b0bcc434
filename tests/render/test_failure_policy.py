import re

import pytest

from mdctl.render.failure_policy import job_failure_policy, jobset_failure_policy

FAILED, UNCOUNTED, COUNTED = "FailJobSet", "RestartJobSetAndIgnoreMaxRestarts", "RestartJobSet"


def job_failure(code, disrupted, durable):
    """Return reason and message of a Job's Failed condition, as the Job controller writes them."""
    for index, rule in enumerate(job_failure_policy(durable=durable)["rules"]):
        assert rule["action"] == "FailJob"
        if code in rule.get("onExitCodes", {}).get("values", []):
            text = (
                f"Container worker for pod ns/j-slice-0-1-x failed with exit code {code} matching FailJob rule at index"
            )
            return "PodFailurePolicy", f"{text} {index}"
        if disrupted and "onPodConditions" in rule:
            return (
                "PodFailurePolicy",
                f"Pod ns/j-slice-0-1-x has condition DisruptionTarget matching FailJob rule at index {index}",
            )
    return "BackoffLimitExceeded", "Job has reached the specified backoff limit"


def outcome(code, *, disrupted=False, durable=True):
    """Return what the JobSet does: the first rule that fits, else a counted restart."""
    reason, message = job_failure(code, disrupted, durable)
    for rule in jobset_failure_policy(5)["rules"]:
        patterns = rule["onJobFailureMessagePatterns"]
        if reason in rule["onJobFailureReasons"] and any(re.search(pattern, message) for pattern in patterns):
            return rule["action"]
    return COUNTED


@pytest.mark.parametrize(
    ("code", "expected"),
    [(2, FAILED), (3, FAILED), (75, UNCOUNTED), (76, UNCOUNTED)]
    + [(code, COUNTED) for code in (1, 134, 137, 139, 143)],
)
def test_each_exit_code_has_its_consequence(code, expected):
    assert outcome(code) == expected


@pytest.mark.parametrize("code", [1, 75, 76, 137, 143])
def test_a_disruption_never_counts(code):
    assert outcome(code, disrupted=True) == UNCOUNTED


def test_a_mistake_is_a_mistake_even_where_the_pod_was_being_evicted():
    assert outcome(2, disrupted=True) == FAILED


def test_a_lost_peer_counts_where_nothing_saved_would_end_a_crash_loop():
    assert outcome(76, durable=False) == COUNTED
    assert outcome(75, durable=False) == UNCOUNTED


def test_attempts_do_not_overlap():
    assert jobset_failure_policy(7)["restartStrategy"] == "BlockingRecreate"
    assert jobset_failure_policy(7)["maxRestarts"] == 7


def test_rules_have_names_that_jobset_takes():
    pattern = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
    assert all(pattern.fullmatch(rule["name"]) for rule in jobset_failure_policy(0)["rules"])
