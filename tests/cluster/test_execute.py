"""Commands beside workers. Fake nodes run them on this machine; a real kubelet's exit codes and terminals are tested on
real nodes."""

from contextlib import closing

import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.execute import STDERR, STDOUT, Remote, execute, find_pod
from mdctl.cluster.refusal import NoAnswer
from mdctl.spec.errors import ClusterError
from tests.cli.conftest import folder, mdctl
from tests.cluster.rendered import JOB, rendered

__all__ = ["folder", "mdctl"]


@pytest.mark.nodes("tpu7x")
def test_a_command_runs_beside_the_worker_of_a_host(plane, cluster, namespace, mdctl):
    jobset = cluster.create(rendered(namespace, "slice=tpu7x-16"))
    pods = plane.pods.running(namespace, JOB, 2)
    pod = find_pod(cluster, jobset, 1)
    assert pod["metadata"]["name"] == pods[1]["metadata"]["name"]
    with closing(execute(cluster, pod, ["sh", "-c", "echo out; echo err >&2"])) as remote:
        pieces = list(remote.pieces())
        assert remote.code() == 0
    assert b"".join(piece.content for piece in pieces if piece.channel == STDOUT) == b"out\n"
    assert b"".join(piece.content for piece in pieces if piece.channel == STDERR) == b"err\n"
    with closing(execute(cluster, pod, ["head", "-n", "1"], stdin=True)) as remote:
        remote.send(b"one\ntwo\n")
        remote.end_input()
        assert [piece.content for piece in remote.pieces()] == [b"one\n"]

    place = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]
    found = mdctl("exec", JOB, "--host", "1", *place, "--", "sh", "-c", "echo $((6 * 7))")
    assert (found.code, found.out, found.err) == (0, "42\n", "")
    found = mdctl("exec", JOB, "--host", "2", *place, "--", "true")
    assert (found.code, found.err) == (2, f"error: job {JOB} has no host 2; its hosts are 0 to 1\n")
    plane.pods.finish(pods[0], 0)
    plane.api.until_one(
        lambda pod: pod["status"]["phase"] == "Succeeded", "Pod", pods[0]["metadata"]["name"], namespace
    )
    found = mdctl("exec", JOB, *place, "--", "true")
    assert (found.code, found.out) == (2, "")
    assert f"host 0 of job {JOB} does not run; running are 1 (`mdctl status {JOB}` says why)" in found.err

    nobody = connect(kubeconfig=str(plane.kubeconfig_for("nobody")), namespace=namespace)
    with pytest.raises(ClusterError, match=r'cannot \w+ resource "pods/exec"(.|\n)*you may not') as refusal:
        execute(nobody, pod, ["true"])
    assert refusal.value.status == 403
    pod["metadata"]["name"] = "other"
    with pytest.raises(ClusterError, match='pods "other" not found'):
        execute(cluster, pod, ["true"])


def test_a_job_without_hosts_says_so(cluster, namespace):
    jobset = cluster.create(rendered(namespace))
    with pytest.raises(ClusterError, match="host 0 of job trial does not run; none of its hosts does"):
        find_pod(cluster, jobset, 0)


class Ended:
    """A connection that has ended, and what came through it last."""

    def __init__(self, status):
        self.status = status

    def read_channel(self, channel):
        return self.status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (b'{"status": "Success"}', 0),
        (b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}', 3),
    ],
)
def test_a_command_leaves_with_its_code(status, code):
    assert Remote(Ended(status)).code() == code


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (b'{"status": "Failure", "message": "no such file"}', "did not run to its end: no such file"),
        (b"", "the connection ended before the command did"),
    ],
)
def test_a_command_that_never_was_is_an_error(status, words):
    with pytest.raises(ClusterError, match=words):
        Remote(Ended(status)).code()


def test_a_server_that_does_not_answer_is_said_to(plane, tmp_path):
    config = plane.kubeconfig.read_text().replace(plane.site.server, "https://127.0.0.1:1")
    (tmp_path / "config").write_text(config)
    pod = {"metadata": {"name": "p", "namespace": "n"}}
    with pytest.raises(NoAnswer, match=r"Pod n/p: no connection for the command: .*refused"):
        execute(connect(kubeconfig=str(tmp_path / "config")), pod, ["true"])
