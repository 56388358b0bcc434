import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdctl.data.files import content_digest, digest, write_whole
from mdctl.spec.errors import OutputError


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    for content in (b"one", b"two"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/b \(3 bytes\) cannot be written"):
        write_whole(tmp_path / "file" / "b", b"abc")


def test_a_write_that_fails_half_way_leaves_what_was_there(tmp_path: Path, small_files: int) -> None:
    path = tmp_path / "a"
    write_whole(path, b"before")
    with pytest.raises(OutputError, match=r"\(2000 bytes\) cannot be written: File too large\. Free some space"):
        write_whole(path, b"x" * 2 * small_files)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_files() -> Iterator[int]:
    """Let this process write no file longer than this, as if the disk were full."""
    limit, (soft, hard) = 1000, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_digests_tell_sequences_apart() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("ab", b"c", "")}) == 4
    assert digest("é") == digest("é".encode())


def test_a_content_digest_names_files_and_contents(tmp_path: Path) -> None:
    def folder(number: int, **files: str) -> str:
        for name, content in files.items():
            write_whole(tmp_path / str(number) / name, content.encode())
        return content_digest(tmp_path / str(number))

    assert folder(0, a="1", b="2") == folder(1, b="2", a="1")
    assert len({folder(0), folder(2, a="1", b="3"), folder(3, a="1", c="2"), folder(4, a="1")}) == 4
    alone = {content_digest(tmp_path / place) for place in ("0/a", "1/a", "0/b", "4/a")}
    assert len(alone) == 2
