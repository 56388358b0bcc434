"""The validator against kubernetes-validate's own, on every way to spoil a rendered Job."""

import copy

import kubernetes_validate
import pytest

from mdctl.render.checks import KUBERNETES, job_problems
from mdctl.render.cuts import cut_job
from mdctl.render.jobset import render_jobset
from mdctl.render.structural import problems
from tests.render.golden import DATA, recipe_job

JOB = cut_job(render_jobset(recipe_job("train-wan", *DATA)))


def places(value, path=()):
    """Yield the path of everything inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def spoil(path, value):
    job = copy.deepcopy(JOB)
    place = job
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return job


def kubernetes_takes(job):
    try:
        kubernetes_validate.validate(job, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


@pytest.mark.parametrize("value", ["text", 3, 1.5, True, None, [{}], {"surprise": 1}], ids=repr)
def test_a_spoilt_job_is_refused_exactly_when_kubernetes_validate_refuses_it(value):
    paths = [path for path in places(JOB["spec"], ("spec",)) if path[-1] != "name"]
    for path in paths[:: 1 + len(paths) // 40]:
        job = spoil(path, value)
        assert (not job_problems(job)) == kubernetes_takes(job), path


@pytest.mark.parametrize(
    ("value", "schema", "refused"),
    [
        ("a", {"type": "string", "pattern": "^b"}, "does not match"),
        ("abc", {"type": "string", "maxLength": 2}, "at most 2"),
        ("", {"type": "string", "minLength": 1}, "at least 1"),
        (0, {"type": "integer", "minimum": 1}, "less than 1"),
        (True, {"type": "integer"}, "not of type 'integer'"),
        ([1, 2], {"type": "array", "maxItems": 1}, "at most 1"),
        ({}, {"type": "object", "required": ["a"]}, "'a' is required"),
        ({"a": 1}, {"$ref": "#/$defs/closed"}, "'a' was unexpected"),
        (1.5, {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "'integer' or 'string'"),
    ],
)
def test_every_keyword_refuses_what_it_should(value, schema, refused):
    definitions = {"closed": {"type": "object", "properties": {}, "additionalProperties": False}}
    (problem,) = problems(value, schema, definitions, "here")
    assert refused in problem
    assert problem.startswith("here: ")
