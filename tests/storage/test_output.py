import pytest

from mdctl.spec.errors import OutputError
from mdctl.storage.output import as_path, prepare_output


def test_the_directory_is_made_and_left_empty(tmp_path):
    path = prepare_output(str(tmp_path / "runs" / "one"))
    assert path.is_dir()
    assert list(path.iterdir()) == []


def test_a_path_means_the_same_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(as_path("runs/one")) == str(tmp_path / "runs" / "one")
    assert str(as_path("~/runs")) == "/home/somebody/runs"
    assert str(as_path("gs://bucket/runs")) == "gs://bucket/runs"


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"output directory .*file/one cannot be written: Not a directory; give it"):
        prepare_output(str(tmp_path / "file" / "one"))
