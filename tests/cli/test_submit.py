import json
import re

import pytest
import yaml

from mdctl.spec.errors import ClusterError

READY = ["--output-dir", "gs://b/run", "data.path=gs://b/clips"]


@pytest.fixture
def created(monkeypatch):
    """Stand in for the cluster, and keep what it is given."""
    objects = []

    def create(jobset):
        objects.append(jobset)
        return {"name": jobset["metadata"]["name"], "namespace": "default", "state": "created"}

    monkeypatch.setattr("mdctl.cluster.apply.create", create)
    return objects


@pytest.fixture
def ran(monkeypatch):
    """Stand in for the local engine, and keep what it is given."""
    jobs = []

    def run_local(job, write):
        jobs.append(job)
        write("step 1")
        return 75

    monkeypatch.setattr("mdctl.local.engine.run_local", run_local)
    return jobs


@pytest.fixture
def demo(folder):
    """Stand in for what the demo prepares."""
    for name in ("demo/model", "demo/clips", "outputs/train-wan"):
        (folder / name).mkdir(parents=True)
    (folder / "demo/prompts.txt").write_text("a prompt\n")


def test_a_job_is_created_and_named(mdctl, created):
    found = mdctl("submit", "train-wan", *READY)
    assert found.code == 0
    name = created[0]["metadata"]["name"]
    assert re.fullmatch(r"train-wan-[a-z0-9]{5}", name)
    assert found.out == f"name       {name}\nnamespace  default\nstate      created\n"
    assert found.err.startswith("slice v5p-64: ")


def test_a_given_name_stays(mdctl, created):
    assert mdctl("submit", "train-wan", *READY, "--name", "mine", "-o", "name").out == "mine\n"
    mdctl("submit", "train-wan", *READY, "run_name=yours")
    assert [jobset["metadata"]["name"] for jobset in created] == ["mine", "yours"]


def test_the_name_in_a_file_stays(mdctl, created, folder):
    (folder / "job.yaml").write_text(mdctl("recipes", "show", "train-wan").out)
    mdctl("submit", "job.yaml", *READY)
    assert created[0]["metadata"]["name"] == "train-wan"


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        ([], ["outputDir is None", "data.path is None"]),
        (["--output-dir", "gs://b/run"], ["data.path is None"]),
        (["--output-dir", "runs", "dataset_type=synthetic"], ["outputDir is 'runs'"]),
    ],
)
def test_a_job_that_would_be_for_nothing_is_refused(mdctl, created, words, lacking):
    found = mdctl("submit", "train-wan", *words)
    assert (found.code, found.out, created) == (2, "", [])
    for words_of_it in lacking:
        assert words_of_it in found.err


def test_what_the_cluster_refuses_is_said(mdctl, monkeypatch):
    def create(jobset):
        raise ClusterError("the cluster has no JobSet; install it")

    monkeypatch.setattr("mdctl.cluster.apply.create", create)
    found = mdctl("submit", "train-wan", *READY)
    assert (found.code, found.out) == (2, "")
    assert found.err.endswith("error: the cluster has no JobSet; install it\n")


def test_a_dry_run_prints_what_would_be_created(mdctl, created):
    found = mdctl("submit", "train-wan", "--name", "mine", "--dry-run")
    assert yaml.safe_load(found.out)["metadata"]["name"] == "mine"
    assert "warning: outputDir is None" in found.err
    assert created == []


def test_a_dry_run_prints_in_the_form_that_is_asked_for(mdctl, created, ran):
    for where, kind in (([], "JobSet"), (["--local"], "DiffusionJob")):
        words = ["submit", "train-wan", "--name", "mine", "--dry-run", *where]
        assert json.loads(mdctl(*words, "-o", "json").out)["kind"] == kind
        assert mdctl(*words, "-o", "name").out == "mine\n"


def test_settings_say_what_the_spec_does_not(mdctl, created):
    for name, value in {"output_dir": "gs://b/runs", "queue": "q", "namespace": "team", "image": "repo/i:1"}.items():
        mdctl("config", "set", name, value)
    mdctl("submit", "train-wan", "--name", "mine", "data.path=gs://b/clips", "--queue", "other")
    metadata = created[0]["metadata"]
    assert (metadata["namespace"], metadata["labels"]["kueue.x-k8s.io/queue-name"]) == ("team", "other")
    text = yaml.safe_dump(created[0])
    assert "repo/i:1" in text
    assert "gs://b/runs/mine" in text


def test_local_is_the_small_size_on_this_computer(mdctl, ran, demo):
    found = mdctl("submit", "train-wan", "--local")
    (job,) = ran
    assert (job.metadata.name, job.spec.slice, job.spec.model.name) == ("train-wan", "cpu-1", "wan2.1-t2v-tiny")
    assert (found.code, found.out) == (75, "step 1\n")
    lines = found.err.splitlines()
    assert lines[0] == "slice cpu-1: this computer, 1 process, 1 JAX device"
    assert lines[1].startswith("mesh of one device")
    assert lines[2] == "size small changes"
    assert "  model.name: wan2.1-t2v-14b -> wan2.1-t2v-tiny" in lines
    assert "  batch.perDevice: 0.25 -> null" in lines
    assert lines[-2:] == [
        "train-wan: writing to outputs/train-wan",
        "train-wan: preempted, and saved (outputs/train-wan)",
    ]


def test_local_takes_processes_and_devices(mdctl, ran, demo):
    words = ["--processes", "2", "--devices-per-process", "4", "ici_fsdp_parallelism=2", "ici_data_parallelism=4"]
    assert mdctl("submit", "train-wan", "--local", *words).code == 75
    assert (ran[0].spec.slice, ran[0].spec.layout.total) == ("cpu-2x4", (4, 2, 1, 1))


def test_local_keeps_the_full_size_where_it_is_asked_for(mdctl, ran, demo):
    words = ["--size", "full", "dataset_type=synthetic", "ici_context_parallelism=1", "batch.globalSize=1"]
    found = mdctl("submit", "train-wan", "--local", *words)
    assert ran[0].spec.model.name == "wan2.1-t2v-14b"
    assert "size" not in found.err


def test_local_settings_are_not_those_of_clusters(mdctl, ran, demo):
    mdctl("config", "set", "output_dir", "gs://b/runs")
    mdctl("submit", "train-wan", "--local")
    assert ran[0].spec.output_dir == "outputs/train-wan"


def test_a_local_dry_run_prints_the_job_and_writes_nothing(mdctl, ran, folder):
    found = mdctl("submit", "train-wan", "--local", "--dry-run", "--output-dir", "there")
    job = yaml.safe_load(found.out)
    assert (job["kind"], job["spec"]["outputDir"]) == ("DiffusionJob", "there")
    assert ran == []
    assert not (folder / "there").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--local", "--slice", "v5p-8"], "slice v5p-8 is not this computer; leave it out, or leave --local out"),
        (["--processes", "2"], "add --local, or give a --slice"),
        (["--local", "--num-slices", "0"], "spec.numSlices: input should be greater than or equal to 1, not 0"),
    ],
)
def test_options_that_exclude_each_other_are_refused(mdctl, ran, demo, words, message):
    found = mdctl("submit", "train-wan", *words)
    assert (found.code, ran) == (2, [])
    assert message in found.err


def test_missing_data_of_the_demo_is_named_with_what_makes_it(mdctl, ran):
    found = mdctl("submit", "train-wan", "--local")
    assert (found.code, ran) == (2, [])
    assert "error: model.weights is 'demo/model', which is not here" in found.err
    assert "`make demo` makes it, or `python -m mdctl.demo prepare`" in found.err


def test_generate_takes_prompts_and_changes_in_one_line(mdctl, ran, demo):
    found = mdctl("generate", "a red fox", "a = b", "sampling.steps=3", "--local", "--seed", "7")
    assert found.code == 75
    sampling = ran[0].spec.sampling
    assert (sampling.prompts, sampling.prompts_file) == (("a red fox", "a = b"), None)
    assert (sampling.steps, sampling.seed) == (3, 7)
    assert ran[0].spec.model.checkpoint == "outputs/train-wan"


def test_generate_without_prompts_takes_the_recipes(mdctl, ran, demo):
    mdctl("generate", "--local")
    assert ran[0].spec.sampling.prompts_file == "demo/prompts.txt"


def test_generate_takes_a_file_of_prompts_a_model_and_a_checkpoint(mdctl, created):
    words = ["--model", "wan2.1-t2v-1.3b", "--checkpoint", "gs://b/run", "--output-dir", "gs://b/videos"]
    found = mdctl("generate", "--prompts-file", "gs://b/prompts.txt", *words)
    assert (found.code, len(created)) == (0, 1), found.err
    assert created[0]["metadata"]["name"].startswith("generate-wan-")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a fox", "--prompts-file", "p", "--local"], "sampling.prompts and sampling.promptsFile 'p' are both given"),
        (["--prompts-file", "p" * 300, "--local"], "cannot be looked at: File name too long"),
        (["a fox", "--model", "wan"], "no model is called 'wan'; the nearest is 'wan2.1-t2v-"),
        (["a fox", "--seed", "-1"], "spec.sampling.seed: input should be greater than or equal to 0"),
        (["--prompts-file", "none.txt", "--local"], "sampling.promptsFile is 'none.txt', which is not here"),
        (["a fox", "--local", "--checkpoint", "none"], "train one first (`mdctl submit train-wan --local`)"),
    ],
)
def test_a_mistake_in_generate_is_named(mdctl, ran, demo, words, message):
    found = mdctl("generate", *words)
    assert (found.code, ran) == (2, [])
    assert message in found.err
