import pytest
import yaml

from mdctl.spec.reading import parse_job, parse_mapping
from mdctl.spec.recipes import find_recipe


def test_render_prints_one_jobset_and_says_the_rest_beside_it(mdctl):
    found = mdctl("render", "train-wan", "--slice", "v5p-64")
    (jobset,) = yaml.safe_load_all(found.out)
    assert (found.code, jobset["kind"], jobset["metadata"]["name"]) == (0, "JobSet", "train-wan")
    lines = found.err.splitlines()
    assert lines[0].startswith("slice v5p-64: TPU v5p 2x4x4, 32 chips")
    assert lines[1] == "mesh fsdp 8 x context 4 (32 devices): batch 8 in 8, tokens in 4"
    assert [line.partition(" is ")[0] for line in lines[2:]] == [
        "warning: outputDir",
        "warning: data.path",
        "warning: image",
    ]


def test_the_job_in_the_jobset_is_what_was_asked_for(mdctl):
    options = ["--num-slices", "2", "--name", "mine", "--namespace", "team", "--image", "repo/image:1"]
    more = ["--output-dir", "gs://b/run", "--queue", "research", "data.path=gs://b/clips", "max_train_steps=7"]
    found = mdctl("render", "train-wan", "--slice", "v5litepod-256", *options, *more)
    jobset = yaml.safe_load(found.out)
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    annotation = next(value for value in template["metadata"]["annotations"].values() if "DiffusionJob" in value)
    job = parse_job(parse_mapping(annotation, "annotation"), "annotation")
    assert (job.metadata.name, job.metadata.namespace) == ("mine", "team")
    assert (job.spec.slice, job.spec.num_slices, job.spec.training.steps) == ("v5e-256", 2, 7)
    assert (job.spec.image, job.spec.output_dir, job.spec.queue.name) == ("repo/image:1", "gs://b/run", "research")
    assert "warning" not in found.err


def test_overrides_stand_above_options(mdctl):
    jobset = yaml.safe_load(mdctl("render", "train-wan", "--name", "one", "run_name=two").out)
    assert jobset["metadata"]["name"] == "two"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train-wann"], "no recipe is called 'train-wann'; the nearest is 'train-wan'"),
        (["none.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["train-wan", "--slice", "v5p-63"], "slice 'v5p-63'"),
        (["train-wan", "height=1080"], "use 1072 or 1088"),
        (["train-wan", "--size", "tiny"], "recipe train-wan has no size 'tiny'; there are: full, small"),
        (["train-wan", "--size", "small", "--slice", "cpu-1"], "slice cpu-1 is this computer"),
        (["train-wan", "--name", "a" * 60], "character"),
        (["train-wan", "environment.MDCTL_A=b"], "MDCTL_A"),
    ],
)
def test_a_mistake_is_one_screen_and_nothing_is_printed(mdctl, words, message):
    found = mdctl("render", *words)
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert len(found.err.splitlines()) <= 24


def test_a_file_is_rendered_as_the_recipe_is(mdctl, folder):
    (folder / "job.yaml").write_text(mdctl("recipes", "show", "train-wan").out)
    assert mdctl("render", "job.yaml").out == mdctl("render", "train-wan").out
    assert mdctl("render", "./job.yaml", "--size", "small").err.startswith("error: --size small: ./job.yaml is a file")


@pytest.mark.parametrize("text", ["spec: 3", "metadata: []\nspec: {}", "- a", "spec: {task: train, numSlices: {}}"])
def test_a_file_that_holds_no_job_is_refused(mdctl, folder, text):
    (folder / "job.yaml").write_text(text)
    found = mdctl("render", "job.yaml", "--slice", "v5p-8", "--name", "a")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("error: job.yaml: ") or found.err.startswith("error: job.yaml:\n")


def test_no_recipe_is_shadowed_by_a_file(mdctl, folder):
    (folder / "train-wan").write_text("spec: 3")
    assert mdctl("render", "train-wan").code == 0
    assert find_recipe("train-wan")
