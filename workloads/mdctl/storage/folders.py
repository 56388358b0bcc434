"""Folders that are either whole or not counted, on this machine or at `gs://`.

A file of the folder says that it is whole. On this machine the folder is renamed into place; at `gs://`, where nothing
is renamed, that file goes first and comes last.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from etils import epath

from mdctl.data.files import files_under
from mdctl.spec.errors import OutputError
from mdctl.storage.lines import is_remote
from mdctl.storage.output import file_errors, reason

BLOCK = 16 * 2**20
"""Bytes that are held at a time."""


def put_folder(source: Path, target: epath.Path, seal: str) -> None:
    """Put a folder of this machine in the place of another; `seal` is the file in it that says that it is whole.

    Where `target` is on this machine, `source` must be on the same disk, and is gone afterwards. One process writes.

    Raises OutputError if it cannot be written.
    """
    try:
        if is_remote(target):
            _upload(source, target, seal)
        else:
            _rename(source, Path(target))
    except file_errors(str(target)) as error:
        raise OutputError(
            f"{target} cannot be written: {reason(error)}; give it write access and room, or name another output_dir"
        ) from error


def copy_files(source: Path, files: Iterable[Path], target: Path) -> None:
    """Copy files of one folder of this machine, named relative to it, into another.

    Raises OutputError if one cannot be copied.
    """
    for file in files:
        try:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target / file)
        except OSError as error:
            raise OutputError(
                f"{source / file} cannot be copied to {target} ({error.strerror}); make room there, or set "
                "training.publish=false"
            ) from error


def _rename(source: Path, target: Path) -> None:
    former = target.with_name(f".{target.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if target.exists():
        os.rename(target, former)
    os.rename(source, target)
    shutil.rmtree(former, ignore_errors=True)


def _upload(source: Path, target: epath.Path, seal: str) -> None:
    names = [str(path.relative_to(source)) for path in files_under(source)]
    (target / seal).unlink(missing_ok=True)
    former = {str(path.relative_to(target)) for path in files_under(target)} if target.exists() else set()
    for name in sorted(names, key=lambda name: (name == seal, name)):
        with (source / name).open("rb") as read, (target / name).open("wb") as write:
            shutil.copyfileobj(read, write, BLOCK)
    for name in former - set(names):
        (target / name).unlink(missing_ok=True)
