"""The images of the nodes, unpacked once: each node's containerd begins with a copy that shares the files.

What a layer holds is never written again, so nodes have it by hard links: one copy on the disk and in memory. The
databases beside it are copied.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.plane import processes
from tests.cluster.plane.build import cache
from tests.real import image
from tests.real.containerd import Containerd
from tests.real.unmounting import unmount_below

SHARED = ("io.containerd.content.v1.content/blobs", "io.containerd.snapshotter.v1.overlayfs/snapshots")
"""Folders of containerd's root whose files are never changed."""

STATE = Path("/run/mdctl-images")


def unpacked(images: Mapping[str, str]) -> Path:
    """Return a root of containerd that has these images: the name that nodes know each by, and buildah's."""
    folder = cache() / "images"
    wanted = {known_as: image.identity(name) for known_as, name in images.items()}
    record = folder / "images.txt"
    text = "".join(f"{known_as} {id_}\n" for known_as, id_ in sorted(wanted.items()))
    there = dict(line.split() for line in record.read_text().splitlines()) if record.exists() else {}
    containerd = Containerd(folder, STATE)
    if there != wanted:
        record.unlink(missing_ok=True)
        _import(containerd, {name: images[name] for name in wanted if there.get(name) != wanted[name]})
        record.write_text(text, encoding="utf-8")
    return containerd.root


def copy(root: Path, to: Path) -> None:
    """Copy containerd's root; the files of images are shared."""
    subprocess.run(["cp", "--archive", "--link", str(root), str(to)], check=True)
    shared = [to / part for part in SHARED]
    for folder, folders, files in to.walk():
        folders[:] = [name for name in folders if folder / name not in shared]
        for file in files:
            own = folder / f".{file}.own"
            shutil.copy2(folder / file, own)
            own.rename(folder / file)


def _import(containerd: Containerd, images: Mapping[str, str]) -> None:
    process = containerd.start("containerd", containerd.folder / "containerd.log")
    try:
        for known_as, name in images.items():
            with tempfile.TemporaryDirectory(prefix="mdctl-image-", dir="/var/tmp") as folder:
                archive = Path(folder) / "image.tar"
                image.export(name, known_as, archive)
                containerd.ctr("images", "import", "--snapshotter=overlayfs", str(archive))
        containerd.ctr("content", "prune", "references")  # what no image has any more
    finally:
        processes.stop([process])
        unmount_below(containerd.folder, containerd.state)
