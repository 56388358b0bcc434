import pytest
from etils import epath

from mdctl.spec.outputs import SEAL
from mdctl.storage.seal import damage, write_seal


@pytest.fixture
def folder(tmp_path):
    folder = epath.Path(tmp_path) / "params"
    (folder / "d").mkdir(parents=True)
    (folder / "manifest").write_text("manifest")
    (folder / "d" / "data").write_text("weights")
    write_seal(folder)
    return folder


def test_a_sealed_folder_is_whole(folder):
    assert damage(folder) is None


def test_files_added_later_do_no_harm(folder):
    (folder / "commit_success.txt").write_text("committed")
    assert damage(folder) is None


def test_a_file_that_was_cut_short_is_named_with_both_sizes(folder):
    (folder / "d" / "data").write_text("wei")
    assert damage(folder) == "params/d/data has 3 bytes of 7"


def test_a_missing_file_is_named(folder):
    (folder / "d" / "data").unlink()
    assert damage(folder) == "params/d/data is missing"


def test_a_folder_without_a_seal_or_with_half_of_one_is_damaged(folder):
    seal = (folder / SEAL).read_text()
    (folder / SEAL).write_text(seal[: len(seal) // 2])
    assert damage(folder) == "params/seal.json is cut short"
    (folder / SEAL).unlink()
    assert damage(folder) == "params has no seal"
