import json

import pytest
import yaml


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch, tmp_path):
    """Let there be none: what is created on one is in tests/cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


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


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        ([], ["outputDir is None", "data.path is None"]),
        (["--output-dir", "gs://b/run"], ["data.path is None"]),
        (["--output-dir", "runs", "dataset_type=synthetic"], ["outputDir is 'runs'"]),
        (["--output-dir", "gs://b/run", "dataset_type=synthetic"], ["image is unset"]),
    ],
)
def test_a_job_that_would_be_for_nothing_is_refused(mdctl, words, lacking):
    found = mdctl("submit", "train-wan", *words)
    assert (found.code, found.out) == (2, "")
    for words_of_it in lacking:
        assert words_of_it in found.err


def test_a_dry_run_prints_what_would_be_created(mdctl):
    found = mdctl("submit", "train-wan", "--name", "mine", "--dry-run")
    assert yaml.safe_load(found.out)["metadata"]["name"] == "mine"
    assert "warning: outputDir is None" in found.err


def test_a_dry_run_prints_in_the_form_that_is_asked_for(mdctl, ran):
    for where, kind in (([], "JobSet"), (["--local"], "DiffusionJob")):
        words = ["submit", "train-wan", "--name", "mine", "--dry-run", *where]
        assert json.loads(mdctl(*words, "-o", "json").out)["kind"] == kind
        assert mdctl(*words, "-o", "name").out == "mine\n"


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


def test_prompts_of_a_file_here_travel_in_the_spec_and_are_divided_among_slices(mdctl, folder):
    (folder / "p.txt").write_text("\ufeffa fox\n\n  a hare \nein K\u00e4fer\n", encoding="utf-8")
    words = ["--slice", "v6e-8", "--output-dir", "gs://b/o", "--image", "a/b:1", "--dry-run"]
    found = mdctl("generate", "--prompts-file", "p.txt", "--num-slices", "3", *words)
    template = yaml.safe_load(found.out)["spec"]["replicatedJobs"][0]["template"]["spec"]
    sampling = yaml.safe_load(template["template"]["metadata"]["annotations"]["mdctl.dev/spec"])["spec"]["sampling"]
    assert (sampling["prompts"], sampling["promptsFile"]) == (["a fox", "a hare", "ein K\u00e4fer"], None)
    assert template["completions"] == 3
    assert "prompts divided among 3 programs, each alone on a slice" in found.err
    assert "warning" not in found.err
    assert "numSlices is 4" in mdctl("generate", "--prompts-file", "p.txt", "--num-slices", "4", *words).err


@pytest.mark.parametrize(("name", "content"), [("p.txt", "\n \n"), ("p.txt", "\xff"), ("p.jsonl", '{"prompt": "a"}')])
def test_a_file_whose_prompts_cannot_travel_is_refused(mdctl, folder, name, content):
    (folder / name).write_text(content, encoding="latin-1")
    found = mdctl(
        "generate", "--prompts-file", name, "--slice", "v6e-8", "--output-dir", "gs://b/o", "--image", "a/b:1"
    )
    assert found.code == 2
    assert name in found.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a fox", "--prompts-file", "p", "--local"], "sampling.prompts and sampling.promptsFile 'p' are both given"),
        (["--prompts-file", "p" * 300, "--local"], "cannot be looked at: File name too long"),
        (["a fox", "--model", "wan"], "no model is called 'wan'; the nearest is 'wan2.1-t2v-"),
        (["a fox", "--seed", "-1"], "spec.sampling.seed: input should be greater than or equal to 0"),
        (["--prompts-file", "none.txt", "--local"], "sampling.promptsFile is 'none.txt', which is not here"),
        (["--prompts-file", "none.txt"], "--prompts-file 'none.txt' cannot be read here ("),
        (["a fox", "--local", "--checkpoint", "none"], "train one first (`mdctl submit train-wan --local`)"),
    ],
)
def test_a_mistake_in_generate_is_named(mdctl, ran, demo, words, message):
    found = mdctl("generate", *words)
    assert (found.code, ran) == (2, [])
    assert message in found.err
