import copy

import pytest

from mdctl.render.checks import MAX_ANNOTATIONS, check_jobset, label_problems
from mdctl.render.jobset import render_jobset
from mdctl.spec.errors import SpecError
from mdctl.spec.names import SPEC_ANNOTATION
from tests.render.golden import DATA, recipe_job

JOBSET = render_jobset(recipe_job("train-wan", *DATA))


def change(path, value):
    jobset = copy.deepcopy(JOBSET)
    *parents, last = path
    place = jobset
    for key in parents:
        place = place[key]
    place[last] = value
    return jobset


GROUP = ("spec", "replicatedJobs", 0)
JOB = (*GROUP, "template", "spec")
POD = (*JOB, "template", "spec")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("spec", "failurePolicies"), {}, "'failurePolicies' was unexpected"),
        (("spec", "failurePolicy", "restartStrategy"), "Sometimes", "spec.failurePolicy.restartStrategy: 'Sometimes'"),
        (("spec", "failurePolicy", "rules", 0, "action"), "Ignore", "rules\\[0\\].action"),
        ((*GROUP, "replicas"), "two", "replicas: 'two' is not of type 'integer'"),
        ((*JOB, "backoffLimits"), 0, "'backoffLimits' was unexpected"),
        ((*JOB, "podFailurePolicy", "rules", 0, "action"), 1, "podFailurePolicy.rules"),
        ((*POD, "containers", 0, "resources", "limits", "google.com/tpu"), [4], "resources.limits"),
        ((*POD, "volumes", 0, "downwardApi"), {}, "'downwardApi' was unexpected"),
        (("metadata", "labels", "team"), "x" * 64, "label 'team'"),
    ],
)
def test_what_a_server_would_refuse_is_refused_here(path, value, message):
    with pytest.raises(SpecError, match=message):
        check_jobset(change(path, value))


def test_a_spec_that_fits_no_annotation_is_refused():
    text = "x" * (MAX_ANNOTATIONS + 1)
    with pytest.raises(SpecError, match="at most 262144 fit"):
        check_jobset(change((*JOB, "template", "metadata", "annotations", SPEC_ANNOTATION), text))


@pytest.mark.parametrize(
    "labels", [{"a": ""}, {"example.com/a.b_c-D9": "x.Y_z-0"}, {"a" * 63: "b" * 63}, {"a.example/b": "1"}]
)
def test_labels_that_kubernetes_takes(labels):
    assert not list(label_problems(labels))


@pytest.mark.parametrize(
    "labels", [{"": "a"}, {"a/b/c": "d"}, {"A.example/b": "c"}, {"a" * 64: "b"}, {"a": "-b"}, {"a": "ü"}, {"/a": "b"}]
)
def test_labels_that_kubernetes_refuses(labels):
    assert len(list(label_problems(labels))) == 1
