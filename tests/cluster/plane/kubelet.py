"""What the API server asks the kubelets of fake nodes: logs, as a kubelet gives them; all else is passed on to KWOK.

KWOK serves logs too, but never ends a stream that follows one. Here, as with a kubelet, it ends with the container;
and a container that did not start, or did not start before, has no log, which is an error.

    <folder>/<namespace>/<pod>/<container>.log      lines: time, stdout, F, text

python -m tests.cluster.plane.kubelet PORT KWOK CERTIFICATE KEY AUTHORITY KUBECONFIG FOLDER
"""

import datetime
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.cluster.plane.api import Api, Object

SOON = 0.1
"""Seconds between looks at a file that is followed."""

LONG = 24 * 3600.0


class NoLogError(Exception):
    """There is no log to give; says so as a kubelet does."""


def select_lines(lines: list[bytes], query: dict[str, str]) -> Iterator[bytes]:
    """Yield the text of the lines that are asked for, each after its time where that is asked for."""
    since = _since(query)
    if since is not None:
        lines = [line for line in lines if _time(line) >= since]
    if tail := query.get("tailLines"):
        lines = lines[max(0, len(lines) - int(tail)) :]
    for line in lines:
        time, _, _, text = line.split(b" ", 3)
        yield (time + b" " + text if query.get("timestamps") == "true" else text) + b"\n"


def check(pod: Object, container: str, query: dict[str, str]) -> None:
    """Raise NoLogError unless the container runs or ran."""
    name = f'container "{container}" in pod "{pod["metadata"]["name"]}"'
    statuses = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
    status = next((each for each in statuses if each["name"] == container), None)
    state = status["state"] if status else {"waiting": {"reason": "ContainerCreating"}}
    if query.get("previous") == "true":
        raise NoLogError(f"previous terminated {name} not found")
    if "waiting" in state:
        reason = state["waiting"]["reason"]
        said = {"ImagePullBackOff": "trying and failing to pull image", "ErrImagePull": "image can't be pulled"}
        raise NoLogError(f"{name} is waiting to start: {said.get(reason, reason)}")


def has_ended(pods: list[Object], uid: str, container: str) -> bool:
    """Say whether a pod's container ended, or the pod is gone."""
    same = [pod for pod in pods if pod["metadata"]["uid"] == uid]
    statuses = [each for pod in same for each in pod["status"].get("containerStatuses", [])]
    return not same or any(each["name"] == container and "terminated" in each["state"] for each in statuses)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api
    folder: Path
    kwok: int

    def do_GET(self) -> None:
        """Give a log, or pass the request on."""
        parts = urlsplit(self.path)
        match parts.path.strip("/").split("/"):
            case ["containerLogs", namespace, pod, container]:
                self._log(unquote(namespace), unquote(pod), unquote(container), dict(parse_qsl(parts.query)))
            case _:
                self._pass_on()

    def do_POST(self) -> None:
        """Pass the request on, such as to run a command."""
        self._pass_on()

    def _log(self, namespace: str, name: str, container: str, query: dict[str, str]) -> None:
        pod = self.api.find("Pod", name, namespace)
        try:
            if pod is None:
                raise NoLogError(f'pod "{name}" not found')
            check(pod, container, query)
        except NoLogError as error:
            self._answer(404 if pod is None else 400, str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):  # whoever asked went away
            self._stream(pod, container, query)
            self.wfile.write(b"0\r\n\r\n")

    def _stream(self, pod: Object, container: str, query: dict[str, str]) -> None:
        place = pod["metadata"]
        file = _Lines(self.folder / place["namespace"] / place["name"] / f"{container}.log")
        rest = int(query.get("limitBytes", 2**40))
        follow = query.get("follow") == "true"
        ended = self._ended(pod, container) if follow else lambda: True
        while True:
            last = ended()
            for text in select_lines(file.more(), query):
                self._chunk(text[:rest])
                rest -= len(text)
            query = {"timestamps": query.get("timestamps", "")}  # what comes is new
            if last or rest <= 0 or select.select([self.connection], [], [], SOON)[0]:
                return

    def _ended(self, pod: Object, container: str) -> Callable[[], bool]:
        """Return what says whether a container ended: it is watched meanwhile."""
        place = pod["metadata"]
        watched = threading.Event()

        def watch() -> None:
            with suppress(TimeoutError):
                self.api.until(
                    lambda pods: has_ended(pods, place["uid"], container),
                    "Pod",
                    place["namespace"],
                    LONG,
                    fieldSelector=f"metadata.name={place['name']}",
                )
            watched.set()

        threading.Thread(target=watch, daemon=True).start()
        return watched.is_set

    def _chunk(self, text: bytes) -> None:
        if text:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def _answer(self, status: int, said: str) -> None:
        content = said.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _pass_on(self) -> None:
        """Send the request to KWOK as it is, and whatever follows in both directions."""
        self.close_connection = True
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        head = f"{self.requestline}\r\n{self.headers.as_string()}".replace("\r\n", "\n").replace("\n", "\r\n")
        with socket.create_connection(("127.0.0.1", self.kwok)) as plain, context.wrap_socket(plain) as kwok:
            kwok.sendall(head.encode("latin-1"))
            ends = {self.connection: kwok, kwok: self.connection}
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    data = source.recv(2**16)
                    while source.pending():
                        data += source.recv(source.pending())
                    if not data:
                        return
                    ends[source].sendall(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests that went well."""


class _Lines:
    """The whole lines of a file that grows, each once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def more(self) -> list[bytes]:
        """Return the lines that came since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, _, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(whole) + 1 if whole else 0
        return whole.split(b"\n") if whole else []


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(port: str, kwok: str, certificate: str, key: str, authority: str, kubeconfig: str, folder: str) -> None:
    """Serve until killed."""
    _Handler.api, _Handler.folder, _Handler.kwok = Api(Path(kubeconfig)), Path(folder), int(kwok)
    server = _Server(("127.0.0.1", int(port)), _Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED  # nobody but the API server
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def _since(query: dict[str, str]) -> datetime.datetime | None:
    if seconds := query.get("sinceSeconds"):
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=int(seconds))
    return datetime.datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else None


def _time(line: bytes) -> datetime.datetime:
    return datetime.datetime.fromisoformat(line.split(b" ", 1)[0].decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
