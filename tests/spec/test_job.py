import pytest
from hypothesis import given
from pydantic import ValidationError

from mdctl.spec.errors import SpecError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.model import join
from tests.spec.jobs import job, mapping, valid


def test_both_spellings_of_a_field_are_read():
    assert job(num_slices=2) == job(numSlices=2)


def test_the_default_job_is_the_full_model():
    spec = job().spec
    assert spec.catalogue_model.name == "wan2.1-t2v-14b"
    assert spec.weights == "hf://Wan-AI/Wan2.1-T2V-14B-Diffusers"
    assert spec.layout.global_batch == 32


def test_a_slice_is_kept_under_the_name_that_it_resolves_to():
    assert job(slice="v5litepod-16").spec.slice == "v5e-16"


def test_a_job_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        job().spec.num_slices = 3


def test_checkpoints_are_in_the_output_directory_unless_said_otherwise():
    assert job(outputDir="gs://b/run").spec.checkpoint_dir == "gs://b/run/checkpoints"
    elsewhere = {"checkpoint": {"directory": "gs://b/kept"}}
    assert job(outputDir="gs://b/run", training=elsewhere).spec.checkpoint_dir == "gs://b/kept"


@pytest.mark.parametrize(
    ("directory", "inside"),
    [("gs://b/a", "gs://b/a/c/d"), ("a/b", "a/b/c/d"), ("/a", "/a/c/d"), ("gs://b", "gs://b/c/d")],
)
def test_paths_join_in_buckets_as_in_folders(directory, inside):
    assert join(directory, "c", "d") == inside


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"model": {"weights": "s3://b/a"}}, "spec.model.weights: 's3://b/a' has the scheme 's3'; use a folder"),
        ({"model": {"weights": "hf://name"}}, "'hf://name' should read hf://org/name"),
        ({"model": {"weights": "gs://"}}, "'gs://' names nothing after gs://"),
        ({"outputDir": "hf://org/name"}, "'hf://org/name' cannot be written to"),
        ({"capacity": {"type": "reservation"}}, "type is 'reservation' and reservation is None"),
        ({"capacity": {"reservation": "r"}}, "type is 'on-demand' and reservation is 'r'"),
        ({"batch": {"globalSize": 8, "perDevice": 1}}, "globalSize 8 and perDevice 1.0 are both given"),
        ({"secrets": [{"name": "s", "env": "A"}]}, "secret 's' needs either key and env, or mountPath"),
        ({"mesh": {"ici": {"data": 0}}}, "data is 0; the smallest axis is 1"),
        ({"mesh": {"ici": {"data": -1}}}, "data and fsdp are both -1"),
        ({"slice": "v5p-63"}, "spec.slice: slice 'v5p-63'"),
        ({"environment": {"A B": "c"}}, "spec.environment.A B: should be letters, digits and '_'"),
        ({"resources": {"cpu": "many"}}, "spec.resources.cpu: should be a quantity of Kubernetes"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_its_path(spec, message):
    with pytest.raises(SpecError) as error:
        job(**spec)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 64, "ä"])
def test_names_that_dns_has_not_are_refused(name):
    with pytest.raises(ValidationError):
        DiffusionJob.model_validate(mapping() | {"metadata": {"name": name}})


@given(valid())
def test_a_job_is_equal_to_its_copy(drawn):
    assert DiffusionJob.model_validate(drawn.model_dump()) == drawn
