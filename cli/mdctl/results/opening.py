"""The store at a place that somebody names; what reads buckets is imported for a bucket only."""

from pathlib import Path

from mdctl.results.folder import Folder
from mdctl.results.store import Store
from mdctl.spec.errors import ResultsError


def open_store(location: str) -> Store:
    """Return the store at a folder or `gs://bucket/path`, whether or not anything is there.

    Raises:
        ResultsError: it is neither, or there are no credentials for it.
    """
    scheme, separator, _ = location.partition("://")
    if not separator:
        return Folder(str(Path(location).expanduser()))
    if scheme != "gs":
        raise ResultsError(f"{location!r} is neither a folder nor gs://bucket/path; results are in one of these")
    from mdctl.results.bucket import open_bucket

    return open_bucket(location)
