"""What a spec says of a subject's class."""

import pytest

from mdctl.spec.errors import SpecError
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe
from tests.spec.jobs import job

PRIOR = {"prompt": "a photo of a dog"}


def with_prior(training=None, **spec):
    shape = {"model": {"name": "sd1.5"}, "video": {"height": 512, "width": 512, "frames": 1}, "slice": "v6e-8"}
    return job(**{**shape, "training": {"prior": PRIOR, **(training or {})}, **spec}).spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"slice": "v6e-1"},
            "training.prior takes half of every batch, and a global batch of 1 cannot be halved; use a batch of 2",
        ),
        (
            {"batch": {"globalSize": 9}, "slice": "v6e-1", "training": {"gradientAccumulation": 3}},
            "a global batch of 9 cannot be halved in each of 3 pieces (training.gradientAccumulation); "
            "use a batch of 6 or 12",
        ),
        (
            {"data": {"type": "synthetic"}},
            "training.prior is for a folder of a subject, and data.type is 'synthetic'; set the prior to null",
        ),
        (
            {"data": {"buckets": {"step": 64}}},
            "training.prior takes pictures of one size, and data.buckets gives several; add data.buckets=null",
        ),
        ({"training": {"prior": {}}}, "training.prior.prompt"),
        ({"training": {"prior": {**PRIOR, "count": 0}}}, "training.prior.count"),
        ({"training": {"prior": {**PRIOR, "path": "hf://org/name"}}}, "cannot be written to"),
    ],
)
def test_what_a_prior_does_not_go_with_is_named_with_the_way_out(spec, message):
    with pytest.raises(SpecError) as error:
        with_prior(**spec)
    assert message in str(error.value)


@pytest.mark.parametrize(("size", "pieces"), [(8, 1), (16, 2), (24, 3)])
def test_a_device_may_hold_one_half_alone(size, pieces):
    spec = with_prior({"gradientAccumulation": pieces}, batch={"globalSize": size})
    assert spec.layout.batch_shards == 8


def test_a_prior_says_nothing_of_sampling():
    assert with_prior(task="generate", slice="v6e-1", sampling={"prompts": ["a"]}).training.prior is not None


def test_pictures_of_the_class_are_in_the_output_directory_unless_elsewhere():
    assert with_prior(outputDir="gs://b/run").prior_dir == "gs://b/run/prior"
    assert with_prior({"prior": {**PRIOR, "path": "dogs"}}, outputDir="gs://b/run").prior_dir == "dogs"


def test_dreambooth_trains_all_of_sd15_and_a_lora_of_sdxl():
    full, adapter = (parse_job(find_recipe(f"dreambooth-{name}").job(), name).spec for name in ("sd15", "sdxl"))
    assert (full.training.lora, full.training.text_encoder.learning_rate) == (None, 5e-6)
    assert (adapter.training.lora.rank, adapter.training.optimizer.learning_rate) == (16, 1e-4)
    for spec in (full, adapter):
        assert (spec.training.steps, spec.training.prior.count, spec.training.prior.weight) == (800, 200, 1.0)
        assert spec.training.objective.caption_dropout == 0
        assert spec.data.caption == "a photo of sks dog"
