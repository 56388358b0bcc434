import pytest

from mdctl.render.concerns import advice, concerns
from tests.render.golden import DATA as PLACES
from tests.render.golden import recipe_job

IMAGE = "image=a.example/b:1"
DATA = (*PLACES, IMAGE)


def test_a_job_with_a_bucket_and_a_data_set_is_of_no_concern():
    assert concerns(recipe_job("train-wan", *DATA)) == []


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([DATA[1], IMAGE], ["outputDir is None"]),
        ([DATA[1], IMAGE, "output_dir=/tmp/out"], ["outputDir is '/tmp/out'"]),
        ([DATA[0], IMAGE], ["data.path is None"]),
        ([IMAGE], ["outputDir", "data.path"]),
        ([DATA[0], IMAGE, "dataset_type=synthetic"], []),
        (PLACES, ["image is unset"]),
        ([*DATA, "model.weights=demo/model"], ["model.weights is 'demo/model'"]),
        ([*DATA, "model.weights=hf://org/name"], []),
        ([*DATA, "training.checkpoint.directory=/tmp/c"], ["training.checkpoint.directory is '/tmp/c'"]),
    ],
)
def test_what_pods_would_lack_is_said_with_the_way_out(overrides, words):
    found = concerns(recipe_job("train-wan", *overrides))
    assert len(found) == len(words)
    assert all(word in sentence and "set " in sentence for word, sentence in zip(words, found, strict=True))


def test_pictures_of_a_class_are_where_pods_can_read_and_write():
    overrides = [*DATA, "model.weights=hf://org/name"]
    assert concerns(recipe_job("dreambooth-sd15", *overrides)) == []
    (found,) = concerns(recipe_job("dreambooth-sd15", *overrides, "training.prior.path=dogs"))
    assert found.startswith("training.prior.path is 'dogs'")
    assert found.endswith("set training.prior.path=gs://BUCKET/FOLDER")


def test_generating_reads_from_where_pods_can():
    overrides = [IMAGE, "output_dir=gs://b/o", "sampling.promptsFile=a.txt", "model.checkpoint=outputs/run"]
    found = concerns(recipe_job("generate-wan", *overrides))
    assert [sentence.partition(" is ")[0] for sentence in found] == ["model.checkpoint", "sampling.promptsFile"]


def test_control_nets_and_their_pictures_are_where_pods_can_read():
    followed = "sampling.control=[{weights: here, image: a.png}, {weights: hf://org/name, image: gs://b/a.png}]"
    found = concerns(recipe_job("generate-sd15", IMAGE, "output_dir=gs://b/o", followed))
    assert [sentence.partition(" is ")[0] for sentence in found] == [
        "sampling.control.0.weights",
        "sampling.control.0.image",
    ]
    (found,) = concerns(recipe_job("train-controlnet", *DATA, "training.controlNet.weights=here"))
    assert found.startswith("training.controlNet.weights is 'here'")


def test_generating_needs_no_data_set():
    assert concerns(recipe_job("generate-wan", IMAGE, "output_dir=gs://b/o")) == []


def test_what_would_be_better_is_said_with_the_way_to_it():
    local = ["data.cache=/tmp/c", "jax_cache_dir=/tmp/j"]
    found = advice(recipe_job("train-wan", *DATA, *local))
    assert [sentence.partition(" is ")[0] for sentence in found] == ["data.cache", "compilationCacheDir"]
    assert all("set " in sentence for sentence in found)
    assert advice(recipe_job("train-wan", *DATA, "data.cache=gs://b/c")) == []
