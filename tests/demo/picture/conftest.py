"""A made-up package with every emoji that is asked for, and what is prepared from it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdctl.demo.picture import package
from mdctl.demo.picture.emoji import HELD_OUT, TRAINED
from mdctl.demo.picture.prepare import prepare


def png(number: int) -> bytes:
    """Return a picture of 6 x 6 tiles in colours of its own, and around it black that is transparent."""
    tiles = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[8:56, 8:56, :3] = tiles.repeat(8, axis=0).repeat(8, axis=1)
    pixels[8:56, 8:56, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tarball() -> bytes:
    """The package."""
    names = [emoji.short_name for emoji in (*TRAINED, *HELD_OUT)]
    listed = [{"short_name": name, "image": f"{number:x}.png"} for number, name in enumerate(names)]
    files = {f"{package.PICTURES}/{number:x}.png": png(number) for number in range(len(names))}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in {package.LIST: json.dumps(listed).encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


Fill = Callable[[Path], None]


@pytest.fixture(scope="session")
def fill(tarball: bytes) -> Fill:
    """Prepare a folder from the package, which is taken for the real one."""

    def fill(folder: Path) -> None:
        (folder / "package").mkdir(exist_ok=True)
        (folder / "package" / package.TARBALL).write_bytes(tarball)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(package, "TARBALL_SHA256", hashlib.sha256(tarball).hexdigest())
            prepare(folder)

    return fill


@pytest.fixture(scope="session")
def picture(fill: Fill, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder."""
    folder = tmp_path_factory.mktemp("picture")
    fill(folder)
    return folder
