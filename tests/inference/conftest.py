import pytest
from etils import epath

from tests.buckets import bucket, buckets, emulator

__all__ = ["bucket", "buckets", "emulator", "output"]


@pytest.fixture(params=["here", "gs"])
def output(request, tmp_path):
    """Return an output directory of this machine, and one of the emulated bucket."""
    return epath.Path(tmp_path if request.param == "here" else request.getfixturevalue("bucket")) / "out"
