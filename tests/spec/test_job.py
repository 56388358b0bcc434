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


@pytest.mark.parametrize(
    ("task", "slice_", "slices", "shards"),
    [
        ("generate", "v6e-8", 4, 4),
        ("generate", "h100-8", 2, 2),
        ("generate", "cpu-4", 3, 3),
        ("generate", "v6e-8", 1, 1),
        ("generate", "v6e-16", 4, 1),
        ("generate", "h100-16", 2, 1),
        ("train", "h100-8", 2, 1),
    ],
)
def test_only_generation_on_several_slices_of_one_host_fans_out(task, slice_, slices, shards):
    spec = job(task=task, slice=slice_, numSlices=slices, sampling={"promptsFile": "gs://b/p"}).spec
    assert (spec.fans_out, spec.num_shards) == (shards > 1, shards)
    assert spec.slices_per_program * spec.num_shards == slices
    assert spec.layout.num_devices == spec.resolved_slice.devices * spec.slices_per_program


def test_the_batch_of_a_job_that_fans_out_is_that_of_one_slice():
    spec = {"task": "generate", "slice": "v6e-8", "sampling": {"promptsFile": "gs://b/p"}, "batch": {"perDevice": 0.25}}
    one, four = (job(**spec, numSlices=slices).spec.layout for slices in (1, 4))
    assert one == four
    assert four.global_batch == 2


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
        ({"outputDir": "gs:///x"}, "'gs:///x' names nothing after gs://"),
        ({"outputDir": "~nosuchuser/x"}, "'~nosuchuser/x': ~nosuchuser is nobody's home here"),
        ({"data": {"path": "hf://org/name"}}, "spec.data.path: 'hf://org/name' is a repository of weights"),
        ({"sampling": {"promptsFile": "hf://org/name"}}, "spec.sampling.promptsFile: 'hf://org/name' is a repository"),
        ({"sampling": {"prompts": ["a", " "]}}, "spec.sampling.prompts.1: is blank"),
        ({"sampling": {"prompts": ["a\0"]}}, "spec.sampling.prompts: 'a\\x00' holds a NUL"),
        ({"sampling": {"negativePrompt": "\ud800"}}, "spec.sampling.negativePrompt: "),
        ({"environment": {"A": "\0"}}, "spec.environment: '\\x00' holds a NUL"),
        ({"environment": {"A": "\udc80"}}, "spec.environment"),
        ({"training": {"steps": True}}, "spec.training.steps: should be a number, not true"),
        ({"batch": {"perDevice": False}}, "spec.batch.perDevice: should be a number, not false"),
        ({"image": "Team/mdctl:1"}, "spec.image: should be a container image"),
        ({"image": "mdctl::1"}, "spec.image: should be a container image"),
        ({"serviceAccount": "a..b"}, "spec.serviceAccount: should be lower-case letters"),
        ({"secrets": [{"name": "s", "env": "A", "key": "a b"}]}, "spec.secrets.0.key: should be letters, digits"),
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


@pytest.mark.parametrize(
    "image",
    [
        "mdctl:0.1.0-tpu",
        "localhost:5000/a/b__c",
        "Registry.Example/team/mdctl:V1",
        "us-docker.pkg.dev/project-1/repository/image@sha256:" + "0" * 64,
    ],
)
def test_names_of_images_are_taken(image):
    assert job(image=image).spec.image == image


@pytest.mark.parametrize(
    ("label", "way_out"),
    [
        ("kueue.x-k8s.io/queue-name", "set queue.name"),
        ("jobset.sigs.k8s.io/jobset-name", "choose a prefix of your own"),
        ("batch.kubernetes.io/job-name", "choose a prefix of your own"),
    ],
)
def test_labels_that_controllers_read_are_refused(label, way_out):
    with pytest.raises(ValidationError, match=way_out):
        DiffusionJob.model_validate(mapping() | {"metadata": {"name": "job", "labels": {label: "a"}}})


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 64, "ä"])
def test_names_that_dns_has_not_are_refused(name):
    with pytest.raises(ValidationError):
        DiffusionJob.model_validate(mapping() | {"metadata": {"name": name}})


@given(valid())
def test_a_job_is_equal_to_its_copy(drawn):
    assert DiffusionJob.model_validate(drawn.model_dump()) == drawn
