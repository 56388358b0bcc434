"""Files that are either whole or absent, on this machine or at `gs://`."""

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

from etils import epath

from mdctl.spec.errors import OutputError
from mdctl.storage.output import file_errors, reason


def write_whole(path: epath.PathLike, content: bytes) -> None:
    """Write a file under a temporary name beside it and rename it, making its folder first.

    Raises OutputError if the folder cannot be written or is full.
    """
    target: Any = epath.Path(path)
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except file_errors(str(target)) as error:
        raise OutputError(
            f"{target} ({len(content)} bytes) cannot be written: {reason(error)}. "
            f"Free some space in {target.parent}, allow writing to it, or name another folder."
        ) from error


def digest(*parts: str | bytes) -> str:
    """Return a name of 64 hexadecimal digits for a sequence of strings and contents."""
    sha = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        # The length goes first so that no two sequences run together into one.
        sha.update(len(content).to_bytes(8, "little"))
        sha.update(content)
    return sha.hexdigest()


def files_under(folder: Any) -> Iterator[Any]:
    """Yield the files in and below a folder (an `epath.Path`) in the order of their paths, but for hidden ones."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from files_under(path)
        else:
            yield path


def content_digest(place: epath.PathLike) -> str:
    """Return the digest of a file, or of all that a folder holds: the fingerprint of a model's weights."""
    root: Any = epath.Path(place)
    if not root.is_dir():
        return digest(_file_digest(root))
    files = files_under(root)
    return digest(*(part for file in files for part in (str(file.relative_to(root)), _file_digest(file))))


def _file_digest(path: Any) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
