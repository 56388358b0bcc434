"""`--preset xpk` and `--via xpk`, without a cluster."""

import shlex

import pytest
import yaml

WORDS = ("train-wan", "--name", "w", "--image", "repo/i:1", "--output-dir", "gs://b/run", "data.path=gs://b/clips")


@pytest.fixture
def kubeconfig(tmp_path):
    """Return a function that writes a kubeconfig with one context of a name."""

    def write(context):
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
            "current-context": context,
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(data))
        return ("--kubeconfig", str(path))

    return write


def test_render_writes_the_job_for_such_a_cluster(mdctl):
    jobset = yaml.safe_load(mdctl("render", *WORDS, "--preset", "xpk").out)
    assert jobset["metadata"]["namespace"] == "default"
    assert jobset["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "multislice-queue"
    assert jobset["metadata"]["labels"]["xpk.google.com/workload"] == "w"


def test_the_preset_is_over_the_settings_and_under_the_request(mdctl):
    mdctl("config", "set", "queue", "mine")
    queue = "kueue.x-k8s.io/queue-name"
    assert yaml.safe_load(mdctl("render", *WORDS).out)["metadata"]["labels"][queue] == "mine"
    asked = mdctl("render", *WORDS, "--preset", "xpk")
    assert yaml.safe_load(asked.out)["metadata"]["labels"][queue] == "multislice-queue"
    asked = mdctl("render", *WORDS, "--preset", "xpk", "--queue", "other")
    assert yaml.safe_load(asked.out)["metadata"]["labels"][queue] == "other"


def test_via_xpk_prints_the_command_for_the_contexts_cluster(mdctl, kubeconfig):
    shown = mdctl("submit", *WORDS, "--via", "xpk", *kubeconfig("gke_my-project_us-central2-b_my-cluster"))
    assert shown.code == 0, shown.err
    words = shlex.split(shown.out)
    assert words[:3] == ["xpk", "workload", "create"]
    assert {"--project=my-project", "--zone=us-central2-b", "--cluster=my-cluster"} <= set(words)


def test_a_context_that_names_no_cluster_leaves_its_words_to_the_person(mdctl, kubeconfig):
    shown = mdctl("submit", *WORDS, "--via", "xpk", *kubeconfig("kind"))
    assert {"--project=PROJECT", "--zone=LOCATION", "--cluster=CLUSTER"} <= set(shlex.split(shown.out))
    refused = mdctl("submit", *WORDS, "--via", "xpk", "--run", *kubeconfig("kind"))
    assert (refused.code, refused.out) == (2, "")
    assert "gcloud container clusters get-credentials" in refused.err


def test_it_runs_what_is_on_the_path_and_leaves_with_its_code(mdctl, kubeconfig, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/xpk"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    ran = mdctl("submit", *WORDS, "--via", "xpk", "--run", *kubeconfig("gke_p_us-central2_c"))
    assert ran.code == 7
    assert (tmp_path / "words").read_text().startswith("workload\ncreate\n--workload=w\n")


def test_run_is_of_no_use_alone(mdctl):
    shown = mdctl("submit", *WORDS, "--run")
    assert (shown.code, shown.err) == (2, "error: --run is for --via xpk, and neither is for --local\n")
