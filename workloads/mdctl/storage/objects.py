"""Objects of `gs://` by their generation: the number that the server gives to each version of an object.

A write says which generation it replaces, 0 for none, and the server refuses it if another is there by then. The file
systems that the rest is written through cannot say that, so this is by Google's own client.
"""

import mimetypes
from functools import cache
from typing import Any, NamedTuple

from google.api_core.exceptions import ClientError, NotFound, PreconditionFailed, TooManyRequests
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage

from mdctl.spec.errors import OutputError
from mdctl.storage.output import reason

REASONS = {401: "its server knows no such identity", 403: "this identity may not", 404: "there is no such bucket"}
"""What the server's refusals mean; it says so at length."""


class Version(NamedTuple):
    """An object as it was found."""

    content: bytes
    generation: int


def read(location: str) -> Version | None:
    """Return an object with its generation; None where there is none."""
    blob = _blob(location)
    try:
        content = blob.download_as_bytes()
    except NotFound:
        return None
    except (ClientError, DefaultCredentialsError) as error:
        raise _refused(location, "read", error) from error
    return Version(content, int(blob.generation))


def replace(location: str, generation: int, content: bytes) -> bool:
    """Write an object in place of a generation of it, if that is still there; return whether it holds this content."""
    kind = mimetypes.guess_type(location)[0] or "application/octet-stream"
    try:
        _blob(location).upload_from_string(content, kind, if_generation_match=generation)
    except PreconditionFailed:
        # The client tries again by itself: our own write may be what is in the way of it.
        found = read(location)
        return found is not None and found.content == content
    except (ClientError, DefaultCredentialsError) as error:
        raise _refused(location, "written", error) from error
    return True


def remove(location: str, generation: int) -> None:
    """Remove an object, if it still has this generation."""
    try:
        _blob(location).delete(if_generation_match=generation)
    except (NotFound, PreconditionFailed):
        pass
    except (ClientError, DefaultCredentialsError) as error:
        raise _refused(location, "removed", error) from error


def _blob(location: str) -> Any:
    bucket, _, name = location.removeprefix("gs://").partition("/")
    return client().bucket(bucket).blob(name)


@cache
def client() -> Any:
    """Return the one client of this process."""
    return storage.Client(project=None)  # which objects do not belong to


def _refused(location: str, what: str, error: Exception) -> Exception:
    """Return what to raise: a refusal is the user's to remove, a server that is too busy is not."""
    if isinstance(error, TooManyRequests):
        return error
    why = REASONS.get(getattr(error, "code", 0), reason(error))
    return OutputError(
        f"{location} cannot be {what}: {why}; let the job's identity read and write the bucket, or name another"
    )
