"""`mdctl logs` of pods."""

import json

import pytest

from mdctl.cluster.following import MAX_HOSTS
from tests.cli.conftest import folder, mdctl
from tests.cluster.plane.pods import EXIT_CODE
from tests.cluster.rendered import JOB, rendered

__all__ = ["folder", "mdctl"]


@pytest.fixture
def logs(plane, namespace, mdctl):
    """Return a function that runs `mdctl logs` of the job."""
    return lambda *words: mdctl("logs", JOB, "--kubeconfig", str(plane.kubeconfig), "-n", namespace, *words)


@pytest.mark.nodes("tpu7x")
def test_the_lines_of_several_hosts_are_marked(plane, namespace, logs):
    plane.api.create(rendered(namespace, "slice=tpu7x-16"))
    pods = plane.pods.running(namespace, JOB, 2)
    record = {"time": 1.0, "level": "info", "host": 1, "message": "trained", "step": 4}
    plane.pods.write_log(pods[1], json.dumps(record))
    plane.pods.write_log(pods[0], "one\ntwo")
    shown = "[1] trained  step 4\n[0] one\n[0] two\n"
    assert logs().out == shown
    records = [json.loads(line) for line in logs("-o", "json", "--host", "1").out.splitlines()]
    assert records == [record | {"time": records[0]["time"], "restart": 0, "pod": pods[1]["metadata"]["name"]}]
    refused = logs("--host", "2")
    assert (refused.code, refused.err) == (2, f"error: job {JOB} has no host 2; its hosts are 0 to 1\n")
    plane.pods.finish_all(namespace, JOB)
    followed = logs("-f")
    assert (followed.code, followed.out, followed.err) == (0, shown, f"{JOB}: Completed: every host is done\n")


@pytest.mark.nodes("v6e-8")
def test_a_job_that_failed_gives_its_code(plane, namespace, logs):
    plane.api.create(rendered(namespace, "slice=v6e-8"))
    [pod] = plane.pods.running(namespace, JOB, 1)
    plane.pods.write_log(pod, "\n".join(map(str, range(1000))))
    plane.pods.finish(pod, 2)
    shown = logs("-f")
    assert shown.out.splitlines() == [*map(str, range(1000))]
    assert shown.code == 2
    assert shown.err == f"{JOB}: Failed: host 0 left with 2: the request cannot work as written\n"


@pytest.mark.nodes("v6e-8")
def test_a_job_that_crashed_gives_one(plane, namespace, logs):
    plane.api.create(rendered(namespace, "slice=v6e-8", "restarts.max=0", labels={EXIT_CODE: "1"}))
    shown = logs("-f")
    assert (shown.code, shown.out) == (1, "")
    assert "Failed: host 0 left with 1: " in shown.err


def test_the_help_says_how_many_hosts_are_followed(mdctl):
    assert f"of more than {MAX_HOSTS} hosts, the first {MAX_HOSTS}." in " ".join(mdctl("logs", "--help").out.split())


def test_a_job_that_is_not_there_is_one_clear_error(logs):
    shown = logs()
    assert (shown.code, shown.err.count("\n")) == (2, 1)
    assert f"no job is called {JOB!r}" in shown.err
