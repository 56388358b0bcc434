from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from mdctl.spec.reading import dump_job
from mdctl.spec.recipes import find_recipe, recipe_names
from mdctl.spec.schema import crd, json_schema
from tests.spec.jobs import mapping, valid

CRD_FILE = Path(__file__).parents[2] / "manifests/install/crd/diffusionjob.yaml"
SCHEMA = jsonschema.Draft202012Validator(json_schema())
STRUCTURAL = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

ALLOWED = {
    "additionalProperties",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "required",
    "type",
}


def nodes(schema, path="spec"):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from nodes(schema[name], f"{path}.{name}")


def test_the_installed_definition_is_current():
    way = f"if this change is meant: mdctl schema --crd > manifests/install/crd/{CRD_FILE.name}"
    assert yaml.safe_load(CRD_FILE.read_text()) == crd(), way


@pytest.mark.parametrize("schema", [pytest.param(schema, id=path) for path, schema in nodes(STRUCTURAL)])
def test_the_definition_is_structural(schema):
    """The rules of the Kubernetes documentation, "Specifying a structural schema"."""
    assert set(schema) <= ALLOWED
    assert schema["type"] in ("array", "boolean", "integer", "number", "object", "string")
    assert not ("properties" in schema and "additionalProperties" in schema)
    assert ("items" in schema) == (schema["type"] == "array")
    assert set(schema.get("required", ())) <= set(schema.get("properties", ()))
    for bound in ("Minimum", "Maximum"):
        assert schema.get(f"exclusive{bound}") in (None, True)
        assert bound.lower() in schema or f"exclusive{bound}" not in schema
    assert not (schema.get("nullable") and "enum" in schema), "the API server refuses null then"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


@given(valid())
@settings(max_examples=30)
def test_valid_jobs_are_valid_by_the_schema(job):
    SCHEMA.validate(dump_job(job))


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_valid_by_the_schema(name):
    SCHEMA.validate(find_recipe(name).job("small"))


@pytest.mark.parametrize("wrong", [{"numSlice": 1}, {"numSlices": 0}, {"task": "tune"}, {"video": {"fps": "many"}}])
def test_what_is_wrong_in_one_field_is_wrong_by_the_schema(wrong):
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(mapping(**wrong))
