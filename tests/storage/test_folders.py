"""Folders put in the place of others, here and in a bucket."""

from pathlib import Path

import pytest
from etils import epath

from mdctl.spec.errors import OutputError
from mdctl.storage.folders import copy_files, put_folder
from tests.buckets import bucket, buckets, emulator

__all__ = ["bucket", "buckets", "emulator"]


@pytest.fixture(params=["here", "gs"])
def output(request, tmp_path):
    return epath.Path(tmp_path / "out" if request.param == "here" else f"{request.getfixturevalue('bucket')}/out")


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{folder.name} {name}")
    return folder


def test_a_folder_is_put_in_the_place_of_another(tmp_path, output):
    if "://" not in str(output):
        output.mkdir()
    target = output / "published"
    put_folder(fill(tmp_path / "one", "unet/a.bin", "unet/b.bin", "seal.json"), target, "seal.json")
    put_folder(fill(tmp_path / "two", "unet/a.bin", "c.bin", "seal.json"), target, "seal.json")
    found = {name: (target / name).read_text() for name in ("unet/a.bin", "c.bin", "seal.json")}
    assert found == {name: f"two {name}" for name in found}
    assert not (target / "unet/b.bin").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    source = fill(tmp_path / "one", "seal.json")
    with pytest.raises(OutputError, match="nowhere/published cannot be written: No such file or directory"):
        put_folder(source, epath.Path(tmp_path / "nowhere/published"), "seal.json")


def test_files_are_copied_with_their_folders_and_one_that_is_gone_is_named(tmp_path):
    (tmp_path / "from/inner").mkdir(parents=True)
    (tmp_path / "from/inner/a").write_text("a")
    copy_files(tmp_path / "from", [Path("inner/a")], tmp_path / "to")
    assert (tmp_path / "to/inner/a").read_text() == "a"
    with pytest.raises(OutputError, match=r"from/b cannot be copied to .*/to \(No such file or directory\); make room"):
        copy_files(tmp_path / "from", [Path("b")], tmp_path / "to")
