"""Every mistake of a user, and of a cluster, is one clear screen with exit code 2: each against the real API server."""

import re

import pytest
import yaml

from mdctl.cluster.kinds import KINDS, Kind
from tests.cli.conftest import folder, mdctl
from tests.cluster.rendered import JOB, rendered

__all__ = ["folder", "mdctl"]

SUBMIT = [
    *("submit", "train-wan", "--name", "mine", "--slice", "v4-8", "--image", "repo/i:1"),
    *("--output-dir", "gs://b/run", "data.path=gs://b/clips"),
]
ABOUT = ("suspend", "resume", "cancel", "wait", "resubmit")
VERBS = [SUBMIT, *([verb, JOB] for verb in ABOUT), ["delete", JOB, "--yes"], ["exec", JOB, "--", "true"]]

LINES = 4
"""Of an error, at most."""


@pytest.fixture(scope="module")
def shared(plane):
    """Yield a namespace with a job in it, which no test changes."""
    with plane.fresh_namespace() as name:
        plane.api.create(rendered(name))
        yield name


@pytest.fixture
def fails(mdctl):
    """Return a function that runs words which must fail as a mistake does, and gives what is said of it."""

    def run(kubeconfig, namespace, words, lines=LINES):
        end = words.index("--") if "--" in words else len(words)
        found = mdctl(*words[:end], "--kubeconfig", str(kubeconfig), "-n", namespace, *words[end:])
        error = found.err[found.err.index("error: ") :]
        assert (found.code, found.out) == (2, "")
        assert "Traceback" not in found.err
        assert len(error.splitlines()) <= lines, error
        return error

    return run


@pytest.fixture
def changed(plane, tmp_path):
    """Return a function that changes a kubeconfig which works, and gives its path."""

    def change(edit):
        data = yaml.safe_load(plane.kubeconfig.read_text())
        edit(data)
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(data))
        return path

    return change


def words_id(words):
    return words[0]


@pytest.mark.parametrize("words", VERBS, ids=words_id)
def test_no_cluster_answers(shared, fails, changed, words):
    def edit(data):
        data["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"

    said = fails(changed(edit), shared, words)
    assert re.search(r"no cluster answers at https://127.0.0.1:1: .*; is it running, and is `kubectl config", said)


def test_the_certificate_is_another_clusters(shared, fails, changed):
    def edit(data):
        cluster = data["clusters"][0]["cluster"]
        del cluster["certificate-authority-data"]

    assert "certificate" in fails(changed(edit), shared, SUBMIT)


@pytest.mark.parametrize("words", VERBS, ids=words_id)
def test_the_token_has_expired(shared, fails, changed, words):
    def edit(data):
        data["users"][0]["user"] = {"token": "expired"}

    said = fails(changed(edit), shared, words)
    assert "Unauthorized\nthe cluster does not accept your credentials; log in again" in said


def test_there_are_no_credentials(shared, fails, changed):
    said = fails(changed(lambda data: data["users"][0].update(user={})), shared, SUBMIT)
    assert 'User "system:anonymous" cannot create' in said
    assert "the cluster does not know who you are; log in again" in said


def test_the_program_that_gets_credentials_is_missing(shared, fails, changed):
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "interactiveMode": "Never"}
    said = fails(changed(lambda data: data["users"][0].update(user={"exec": plugin})), shared, SUBMIT)
    assert "gives no credentials: " in said
    assert "no-such-plugin" in said
    assert "log in again, or install the program that it names" in said


@pytest.mark.parametrize("words", VERBS, ids=words_id)
def test_nothing_is_allowed(plane, shared, fails, words):
    said = fails(plane.kubeconfig_for("nobody"), shared, words)
    assert 'User "nobody" cannot' in said
    assert "you may not; ask the cluster's administrator for that permission" in said


@pytest.mark.parametrize("words", VERBS, ids=words_id)
def test_the_cluster_has_no_jobset(plane, shared, fails, monkeypatch, words):
    monkeypatch.setitem(KINDS, "JobSet", Kind("absent.mdctl.test/v1", "jobsets"))
    said = fails(plane.kubeconfig, shared, words)
    assert "the cluster does not know this kind; install JobSet: kubectl apply --server-side -f https://" in said


@pytest.mark.parametrize("words", VERBS[1:], ids=words_id)
def test_no_job_has_that_name(plane, shared, fails, words):
    said = fails(plane.kubeconfig, shared, [word.replace(JOB, "trail") for word in words])
    if words[0] == "resubmit":
        assert "job 'trail' has no results in outputs/trail" in said
    else:
        assert f"no job is called 'trail' in namespace {shared}; the nearest is 'trial' (all: `mdctl list`)" in said


def test_the_queue_is_unknown(plane, shared, fails):
    said = fails(plane.kubeconfig, shared, [*SUBMIT, "--queue", "fast"])
    assert f"queue.name is 'fast', which namespace {shared} does not have; there are: accelerators, everything" in said


def test_the_name_is_taken(plane, shared, fails):
    said = fails(plane.kubeconfig, shared, [JOB if word == "mine" else word for word in SUBMIT], lines=24)
    assert f"JobSet {shared}/{JOB} is there with another spec:" in said
    assert "choose another name with --name" in said
    assert "namespace:" not in said


def test_the_namespace_is_not_there(plane, fails):
    said = fails(plane.kubeconfig, "nowhere", SUBMIT)
    assert 'namespaces "nowhere" not found\ncreate the namespace, or name another with --namespace' in said


def test_the_context_is_not_there(plane, shared, fails):
    said = fails(plane.kubeconfig, shared, [*SUBMIT, "--context", "elsewhere"])
    assert "kubeconfig has no context 'elsewhere'; there are: " in said


def test_a_jobset_that_is_not_ours_is_left_alone(plane, shared, fails):
    theirs = rendered(shared, "run_name=theirs")
    del theirs["metadata"]["labels"]["app.kubernetes.io/managed-by"]
    plane.api.create(theirs)
    said = fails(plane.kubeconfig, shared, ["delete", "theirs", "--yes"])
    assert f"JobSet {shared}/theirs is not mdctl's, so mdctl leaves it alone; use kubectl" in said
    assert plane.api.get("JobSet", "theirs", shared)
