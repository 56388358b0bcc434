"""A command in a host's container, and what goes in and out of it: one WebSocket, whose channels are numbered.

    0   to the command        1, 2   its output and its errors        3   how it ended        4   the terminal's size

With a terminal of its own it writes everything to 1.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from kubernetes import client
from kubernetes.stream import stream
from websocket import WebSocketException

from mdctl.cluster.client import Cluster
from mdctl.cluster.hosts import check_hosts, has_started, host_number
from mdctl.cluster.jobs import JOBSET_UID_LABEL
from mdctl.cluster.refusal import NoAnswer, explain
from mdctl.spec.errors import ClusterError
from mdctl.spec.names import CONTAINER

Object = dict[str, Any]

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)

_HANDSHAKE = re.compile(r"Handshake status (\d+)[^-]*")


class Piece(NamedTuple):
    """What a command wrote."""

    channel: int
    content: bytes


class Remote:
    """A command that runs on a host."""

    def __init__(self, connection: Any) -> None:  # a WSClient, which has no types
        self._connection = connection

    def pieces(self) -> Iterator[Piece]:
        """Yield what the command writes until it ends.

        Raises:
            NoAnswer: the connection is lost.
        """
        while True:
            going = self._connection.is_open()
            if going:
                with _lost_connections():
                    self._connection.update(timeout=None)
            for channel in (STDOUT, STDERR):
                if content := self._connection.read_channel(channel):
                    yield Piece(channel, content)
            if not going:
                return

    def send(self, content: bytes) -> None:
        """Give the command what it reads; raises NoAnswer where the connection is gone."""
        self._write(STDIN, content)

    def end_input(self) -> None:
        """Let the command see the end of what it reads; raises as above."""
        with _lost_connections():
            self._connection.close_channel(STDIN)

    def resize(self, columns: int, lines: int) -> None:
        """Tell the command how large its terminal is; raises as above."""
        self._write(RESIZE, json.dumps({"Width": columns, "Height": lines}).encode())

    def close(self) -> None:
        """Break the connection off; the command may go on."""
        self._connection.close(timeout=0)
        self._connection.sock.shutdown()  # left open by that where the other end closed first

    def code(self) -> int:
        """Return the exit code of a command that has ended.

        Raises:
            ClusterError: it could not be started, or the connection was lost before it ended.
        """
        said = self._connection.read_channel(STATUS)
        status: Object = json.loads(said) if said else {"message": "the connection ended before the command did"}
        if status.get("status") == "Success":
            return 0
        for cause in status.get("details", {}).get("causes", ()):
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        raise ClusterError(f"the command did not run to its end: {status['message']}")

    def _write(self, channel: int, content: bytes) -> None:
        with _lost_connections():
            self._connection.write_channel(channel, content)


@contextmanager
def _lost_connections() -> Iterator[None]:
    try:
        yield
    except (WebSocketException, OSError) as error:
        raise NoAnswer(f"the connection to the host is lost: {error}; the command may go on there") from None


def find_pod(cluster: Cluster, jobset: Object, host: int) -> Object:
    """Return the pod of a host, whose worker runs.

    Raises:
        ClusterError: there is no such host, or it does not run.
    """
    check_hosts(jobset, [host])
    metadata = jobset["metadata"]
    pods = cluster.objects("Pod", metadata["namespace"], labels=f"{JOBSET_UID_LABEL}={metadata['uid']}")
    for pod in pods:
        if host_number(jobset, pod) == host and pod["status"].get("phase") == "Running" and has_started(pod):
            return pod
    running = sorted(host_number(jobset, pod) for pod in pods if pod["status"].get("phase") == "Running")
    there = f"running are {', '.join(map(str, running))}" if running else "none of its hosts does"
    name = metadata["name"]
    raise ClusterError(f"host {host} of job {name} does not run; {there} (`mdctl status {name}` says why)")


def execute(cluster: Cluster, pod: Object, command: Sequence[str], *, tty: bool = False, stdin: bool = False) -> Remote:
    """Start a command beside the worker of a pod.

    Raises:
        ClusterError: the server refuses, or does not answer.
    """
    metadata = pod["metadata"]
    try:
        connection = stream(
            client.CoreV1Api(cluster.api).connect_get_namespaced_pod_exec,
            metadata["name"],
            metadata["namespace"],
            container=CONTAINER,
            command=list(command),
            stdin=stdin,
            stdout=True,
            stderr=not tty,
            tty=tty,
            binary=True,
            _preload_content=False,
        )
    except client.ApiException as error:
        raise _refusal(error, f"Pod {metadata['namespace']}/{metadata['name']}") from None
    return Remote(connection)


def _refusal(error: client.ApiException, what: str) -> ClusterError:
    """Return the error in the text that is all that the WebSocket's client leaves of a refusal."""
    said = str(error.reason)
    found = _HANDSHAKE.match(said)
    if found is None:
        return NoAnswer(f"{what}: no connection for the command: {said}")
    *_, body = said.split(" -+-+- ")
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return explain(int(found[1]), answer if isinstance(answer, dict) else {"message": found[0]}, what)
