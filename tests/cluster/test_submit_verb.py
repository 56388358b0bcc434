"""`mdctl submit`, and what `mdctl generate` adds, on a cluster."""

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.buckets import blob, bucket, buckets, emulator
from tests.cli.conftest import folder, mdctl
from tests.cluster.plane.pods import EXIT_CODE

__all__ = ["bucket", "buckets", "emulator", "folder", "mdctl"]

READY = ["--slice", "v4-8", "--image", "repo/i:1", "--output-dir", "gs://b/run", "data.path=gs://b/clips"]
"""Of a slice that has no nodes."""


@pytest.fixture
def submit(plane, namespace, mdctl):
    """Return a function that runs `mdctl submit` with words of this test's."""
    place = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]
    return lambda *words, verb="submit": mdctl(verb, *words, *place)


def created(plane, namespace):
    return plane.api.objects("JobSet", namespace)


def test_a_job_is_created_and_named(plane, namespace, submit):
    found = submit("train-wan", *READY)
    assert found.code == 0, found.err
    [jobset] = created(plane, namespace)
    name = jobset["metadata"]["name"]
    assert re.fullmatch(r"train-wan-[a-z0-9]{5}", name)
    assert found.out == f"name       {name}\nnamespace  {namespace}\nstate      created\n"
    assert found.err.startswith("slice v4-8: ")


def test_a_name_that_somebody_gave_stays(plane, namespace, submit, mdctl, folder):
    assert submit("train-wan", *READY, "--name", "mine", "-o", "name").out == "mine\n"
    (folder / "job.yaml").write_text(mdctl("recipes", "show", "train-wan").out)
    submit("job.yaml", *READY)
    submit("train-wan", *READY, "run_name=yours")
    assert [each["metadata"]["name"] for each in created(plane, namespace)] == ["mine", "train-wan", "yours"]


def test_settings_say_what_the_spec_does_not(plane, namespace, mdctl):
    settings = {"output_dir": "gs://b/runs", "queue": "q", "namespace": namespace, "image": "repo/i:1"}
    for name, value in settings.items():
        mdctl("config", "set", name, value)
    words = ["--slice", "v4-8", "--name", "mine", "data.path=gs://b/clips", "--queue", "accelerators"]
    found = mdctl("submit", "train-wan", *words, "--kubeconfig", str(plane.kubeconfig))
    assert "queue accelerators has no flavour for nodes with gke-tpu-accelerator=tpu-v4-podslice" in found.err
    words[-1] = "other"
    found = mdctl("submit", "train-wan", *words, "--kubeconfig", str(plane.kubeconfig))
    assert f"queue.name is 'other', which namespace {namespace} does not have" in found.err
    mdctl("config", "unset", "queue")
    assert mdctl("submit", "train-wan", *words[:-2], "--kubeconfig", str(plane.kubeconfig)).code == 0
    [jobset] = created(plane, namespace)
    text = yaml.safe_dump(jobset)
    assert "repo/i:1" in text
    assert "gs://b/runs/mine" in text


def test_the_same_again_is_a_success_and_another_spec_is_not_unless_it_replaces(plane, namespace, submit):
    words = ["train-wan", *READY, "--name", "mine"]
    submit(*words)
    assert submit(*words, "-o", "yaml").out.endswith("state: unchanged\n")
    other = submit(*words, "training.steps=5")
    assert (other.code, other.out) == (2, "")
    assert "-    steps: 10000\n+    steps: 5\n" in other.err
    before = created(plane, namespace)
    assert submit(*words, "training.steps=5", "--replace", "-o", "yaml").out.endswith("state: replaced\n")
    assert created(plane, namespace)[0]["metadata"]["uid"] != before[0]["metadata"]["uid"]


def test_generate_takes_a_file_of_prompts_a_model_and_a_checkpoint(plane, namespace, submit):
    words = ["--model", "wan2.1-t2v-1.3b", "--checkpoint", "gs://b/run", *READY[:-1]]
    found = submit("--prompts-file", "gs://b/prompts.txt", *words, verb="generate")
    assert found.code == 0, found.err
    assert created(plane, namespace)[0]["metadata"]["name"].startswith("generate-wan-")


@pytest.fixture
def opened(folder, monkeypatch):
    """Stand in for the desktop, and return the file that names what it was asked to show."""
    program = folder / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/opened\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return folder / "opened"


@pytest.fixture
def videos(bucket):
    """Return an output directory with two videos, as a job would leave it."""
    for name in ("0000-a-fox", "0001-a-hare"):
        blob(f"{bucket}/run/samples/{name}.mp4").upload_from_string(name)
        blob(f"{bucket}/run/samples/{name}.json").upload_from_string("{}")
    blob(f"{bucket}/run/job.yaml").upload_from_string("kind: DiffusionJob\n")
    return f"{bucket}/run"


def generated(videos, code):
    words = ["a fox", "a hare", "--name", "films", "--slice", "v5e-8", "--image", "repo/i:1", "--output-dir", videos]
    return [*words, f"metadata.labels={{{EXIT_CODE}: '{code}'}}"]


@pytest.mark.nodes("v5e-8")
def test_videos_are_waited_for_brought_here_and_shown(submit, videos, opened):
    found = submit(*generated(videos, 0), "--open", "-o", "name", verb="generate")
    assert found.code == 0, found.err
    made = ["outputs/films/samples/0000-a-fox.mp4", "outputs/films/samples/0001-a-hare.mp4"]
    assert found.out.splitlines() == ["films", *made]
    assert Path(made[1]).read_text() == "0001-a-hare"
    assert opened.read_text() == made[0]
    assert "films: Completed: every host is done\n" in found.err


@pytest.mark.nodes("v5e-8")
def test_videos_that_fail_give_their_exit_code_and_are_not_shown(submit, videos, opened):
    found = submit(*generated(videos, 2), "--wait", verb="generate")
    assert found.code == 2
    assert found.err.splitlines()[-1] == "films: Failed: host 0 left with 2: the request cannot work as written"
    assert not Path("outputs").exists()
