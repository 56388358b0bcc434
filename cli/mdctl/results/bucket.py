"""Results in Google Cloud Storage, read as the person who runs the command: with Application Default Credentials.

The `gcloud` command makes these, and a service account on Google's machines has them. STORAGE_EMULATOR_HOST names
another server, which needs none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from google.api_core.exceptions import (
    Forbidden,
    GoogleAPIError,
    NotFound,
    RequestRangeNotSatisfiable,
    Unauthorized,
)
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from mdctl.results.store import NUM_JOBS, NUM_THREADS, Entry, Sink
from mdctl.spec.errors import ResultsError

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
SECONDS_OF_RETRIES = 15.0
CONNECTIONS = NUM_JOBS * NUM_THREADS
"""As many as can be in use at once: one more would be closed, with a warning, and opened again."""
FIELDS = "items(name,size,updated),prefixes,nextPageToken"
LOG_IN = "`gcloud auth application-default login`"

PATIENT = {"timeout": TIMEOUT, "retry": DEFAULT_RETRY.with_timeout(SECONDS_OF_RETRIES)}


@dataclass(frozen=True)
class Bucket:
    """A store that is a bucket, or a part of one."""

    location: str
    bucket: Any  # of google.cloud.storage, which ships no types

    def inside(self, folder: str) -> "Bucket":
        """Return the store of a folder in this one."""
        return Bucket(f"{self.location}/{folder}" if folder else self.location, self.bucket)

    def files(self, folder: str = "") -> list[Entry]:
        """Return every file below a folder, by name."""
        with asking(self.location):
            found = self.bucket.list_blobs(prefix=self._prefix(folder), fields=FIELDS, **PATIENT)
            return [self._entry(blob) for blob in found if _is_file(blob.name)]

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders directly in a folder."""
        with asking(self.location):
            found = self.bucket.list_blobs(prefix=self._prefix(folder), delimiter="/", fields=FIELDS, **PATIENT)
            names = {prefix for page in found.pages for prefix in page.prefixes}
            return sorted(PurePosixPath(name).name for name in names if _is_file(name.rstrip("/")))

    def find(self, name: str) -> Entry | None:
        """Return one file; None if there is none such."""
        with asking(self.location):
            blob = self.bucket.get_blob(self._name(name), **PATIENT)
            return None if blob is None else self._entry(blob)

    def read(self, name: str, start: int = 0) -> bytes | None:
        """Return what a file holds from an offset on; None if there is no such file."""
        with asking(self.location):
            try:
                content: bytes = self._blob(name).download_as_bytes(start=start or None, **PATIENT)
            except NotFound:
                return None
            except RequestRangeNotSatisfiable:
                return b""  # nothing has been added
            return content

    def fetch(self, name: str, sink: Sink) -> None:
        """Hand over what a file holds, piece by piece."""
        with asking(self.location):
            try:
                self._blob(name).download_to_file(sink, **PATIENT)
            except NotFound:
                raise ResultsError(f"{self.location}/{name} went away while it was read; try again") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole, in the place of one that may be there."""
        with asking(self.location):
            self._blob(name).upload_from_string(content, **PATIENT)

    def crc32c(self, name: str) -> str | None:
        """Return the checksum of a file in base64; None if there is no such file."""
        with asking(self.location):
            blob = self.bucket.get_blob(self._name(name), **PATIENT)
            return None if blob is None else str(blob.crc32c)

    def _blob(self, name: str) -> Any:
        return self.bucket.blob(self._name(name))

    def _name(self, name: str) -> str:
        return self._prefix("") + name

    def _prefix(self, folder: str) -> str:
        path = self.inside(folder).location.removeprefix(f"gs://{self.bucket.name}").strip("/")
        return f"{path}/" if path else ""

    def _entry(self, blob: Any) -> Entry:
        name = str(blob.name).removeprefix(self._prefix(""))
        return Entry(name=name, size=int(blob.size), modified=blob.updated.timestamp())


def open_bucket(location: str) -> Bucket:
    """Return the store at `gs://bucket/path`; raises ResultsError if there are no credentials."""
    name = location.removeprefix("gs://").partition("/")[0]
    if not name:
        raise ResultsError(f"{location!r} names no bucket; write gs://bucket/path")
    with asking(location):
        client = storage.Client(project=None)
        for scheme in ("http://", "https://"):
            client._http.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
        return Bucket(location.rstrip("/"), client.bucket(name))


def _is_file(name: str) -> bool:
    """Say whether a name is one that a folder can have: not a folder's own mark, and not a way out of it."""
    return all(part not in ("", ".", "..") for part in name.split("/"))


@contextmanager
def asking(location: str) -> Iterator[None]:
    """Say what to do about a bucket that cannot be read."""
    try:
        yield
    except DefaultCredentialsError as error:
        key = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        named = f"GOOGLE_APPLICATION_CREDENTIALS names {key}, which is no key: {_line(error)}" if key else ""
        raise ResultsError(
            f"{location}: {named or 'there are no Google Cloud credentials here'}; log in with {LOG_IN}, or name a "
            "service account's key in GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    except NotFound:
        raise ResultsError(f"{location}: there is no such bucket; check its name") from None
    except Forbidden as error:
        raise ResultsError(
            f"{location}: you may not read it: {_line(error)}; ask for the role Storage Object Viewer on the bucket"
        ) from None
    except Unauthorized as error:
        raise ResultsError(f"{location}: your credentials are refused: {_line(error)}; log in with {LOG_IN}") from None
    except (GoogleAPIError, TransportError, RequestException, OSError) as error:
        raise ResultsError(f"{location} does not answer: {_line(error)}; check the network, then try again") from None
    except GoogleAuthError as error:
        raise ResultsError(f"{location}: cannot log in: {_line(error)}; log in again with {LOG_IN}") from None


def _line(error: Exception) -> str:
    """Return what an error says, in one line."""
    cause = getattr(error, "cause", None) or error  # of the last of many tries
    reason = getattr(cause.args[0], "reason", None) if cause.args else None  # urllib3's, inside that of requests
    said = getattr(cause, "message", None) or str(reason or cause) or type(cause).__name__
    return " ".join(str(said).split())[:300].rstrip(".")
