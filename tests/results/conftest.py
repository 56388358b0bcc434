"""The same results twice: in a folder, and in a bucket."""

import pytest

from mdctl.results.opening import open_store
from tests.buckets import bucket, buckets, emulator, refusing
from tests.outputs import uploaded, written
from tests.workers import compiled, repository, write_job

__all__ = [
    "bucket",
    "buckets",
    "compiled",
    "emulator",
    "refusing",
    "repository",
    "uploaded",
    "write_job",
    "written",
]


@pytest.fixture(params=["folder", "bucket"])
def runs(request, written):
    """Return the directory with all output directories, on this machine or at `gs://`."""
    if request.param == "folder":
        return str(written)
    request.getfixturevalue("buckets")
    return request.getfixturevalue("uploaded")


@pytest.fixture
def trained(runs):
    return open_store(f"{runs}/trained")


@pytest.fixture
def generated(runs):
    return open_store(f"{runs}/generated")


@pytest.fixture(params=["folder", "bucket"])
def scratch(request, tmp_path):
    """Return an empty directory of a test's own, and what puts a file there."""
    if request.param == "folder":

        def put(name, content):
            path = tmp_path / "scratch" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

        return Scratch(str(tmp_path / "scratch"), put)
    location = request.getfixturevalue("bucket") + "/scratch"
    from tests.buckets import blob

    return Scratch(location, lambda name, content: blob(f"{location}/{name}").upload_from_string(content))


class Scratch:
    """A store, and what puts files there."""

    def __init__(self, location, put):
        self.location = location
        self.put = put
        self.store = open_store(location)
