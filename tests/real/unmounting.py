"""Unmount all that is mounted below some folders."""

import ctypes
import os
from pathlib import Path

MNT_DETACH = 2


def mounts_below(*folders: Path) -> list[Path]:
    """Return the mount points below folders, the deepest first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = [Path(line.split()[1].encode().decode("unicode_escape")) for line in lines]
    return [point for point in reversed(points) if any(point.is_relative_to(folder) for folder in folders)]


def unmount_below(*folders: Path) -> None:
    """Unmount everything below folders, those in use too as soon as they are not."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_below(*folders):
        if libc.umount2(os.fsencode(point), MNT_DETACH):
            raise OSError(ctypes.get_errno(), f"cannot unmount {point}")
