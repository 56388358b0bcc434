import json

import pytest
import yaml

from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe, recipe_names
from mdctl.spec.schema import crd, json_schema
from mdctl.spec.slices import all_slices, named_slices


def test_recipes_are_listed(mdctl):
    assert mdctl("recipes", "-o", "name").out.split() == list(recipe_names())
    assert mdctl("recipes").out.splitlines()[0].split() == ["NAME", "SIZES", "DESCRIPTION"]


@pytest.mark.parametrize("size", ["full", "small"])
def test_a_recipe_is_shown_as_a_job(mdctl, size):
    shown = yaml.safe_load(mdctl("recipes", "show", "train-wan", "--size", size).out)
    assert shown == find_recipe("train-wan").job(size)


def test_slices_are_listed(mdctl):
    assert mdctl("slices", "-o", "name").out.split() == [slice_.name for slice_ in named_slices()]
    assert mdctl("slices", "--all", "-o", "name").out.split() == [slice_.name for slice_ in all_slices()]
    found = json.loads(mdctl("slices", "V5P", "-o", "json").out)
    row = next(each for each in found if each["name"] == "v5p-64")
    assert (row["topology"], row["chips"], row["cores"], row["hosts"], row["devices"]) == ("2x4x4", 32, 64, 8, 32)
    assert {each["name"].partition("-")[0] for each in found} == {"v5p"}


def test_a_family_of_no_slice_is_refused(mdctl):
    assert mdctl("slices", "v99").err == "error: no slice's name begins with 'v99'; `mdctl slices` lists all\n"


def test_the_schema_is_printed(mdctl):
    assert json.loads(mdctl("schema").out) == json_schema()
    assert yaml.safe_load(mdctl("schema", "--crd").out) == crd()


def test_the_version_is_printed(mdctl):
    shown = json.loads(mdctl("version", "-o", "json").out)
    assert shown["apiVersion"] == "mdctl.dev/v1alpha1"


def test_a_valid_file_is_said_to_be_so(mdctl, folder):
    (folder / "job.yaml").write_text(mdctl("recipes", "show", "train-wan").out)
    found = mdctl("validate", "job.yaml", "-o", "json")
    assert json.loads(found.out) == {
        "name": "train-wan",
        "task": "train",
        "model": "wan2.1-t2v-14b",
        "slice": "v5p-64",
        "batch": 8,
        "valid": True,
    }
    assert found.err.startswith("slice v5p-64: ")
    parse_job(yaml.safe_load((folder / "job.yaml").read_text()), "job.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "job.yaml: is not YAML: "),
        ("metadata: {name: a}\nspec: {task: train, slize: v5p-8}", "spec.slize: no such field; did you mean 'slice'?"),
        (f"metadata: {{name: {'a' * 60}}}\nspec: {{task: train}}", "character"),
    ],
)
def test_an_invalid_file_is_refused(mdctl, folder, text, message):
    (folder / "job.yaml").write_text(text)
    found = mdctl("validate", "job.yaml")
    assert (found.code, found.out) == (2, "")
    assert message in found.err
