"""Compare and swap, on this machine and on the emulated bucket alike."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from etils import epath
from google.api_core.exceptions import PreconditionFailed, ServiceUnavailable, TooManyRequests
from google.cloud.storage.blob import Blob

from mdctl.spec.errors import OutputError
from mdctl.storage.once import Found, look, swap, withdraw, write_new
from tests.workers import Process

WRITERS = 8


@pytest.fixture(params=["here", "gs"])
def folder(request, tmp_path):
    return epath.Path(tmp_path if request.param == "here" else request.getfixturevalue("bucket")) / "out"


def test_nothing_is_found_where_nothing_is(folder):
    assert look(folder / "a.json") == Found(None)


def test_what_was_swapped_in_is_found(folder):
    path = folder / "deep" / "a.json"
    assert swap(path, look(path), b"1")
    assert look(path).content == b"1"
    assert swap(path, look(path), b"2")
    assert look(path).content == b"2"


@pytest.mark.parametrize("before", [None, b"old"])
def test_who_looked_too_early_writes_nothing(folder, before):
    path = folder / "a.json"
    if before is not None:
        swap(path, Found(None), before)
    seen = look(path)
    assert swap(path, seen, b"first")
    assert not swap(path, seen, b"second")
    assert look(path).content == b"first"


def test_what_is_gone_by_now_is_not_as_it_was_found(folder):
    path = folder / "a.json"
    swap(path, Found(None), b"old")
    seen = look(path)
    path.unlink()
    assert not swap(path, seen, b"new")
    assert look(path).content is None


def test_what_was_found_is_withdrawn_and_nothing_newer(folder, monkeypatch):
    monkeypatch.setattr(Blob, "delete", as_google_does)
    path = folder / "a.json"
    withdraw(path, look(path))
    swap(path, Found(None), b"old")
    seen = look(path)
    swap(path, seen, b"new")
    withdraw(path, seen)
    assert look(path).content == b"new"
    withdraw(path, look(path))
    assert look(path).content is None
    withdraw(path, seen)


def as_google_does(blob, *, if_generation_match, delete=Blob.delete):
    """Compare generations before an object is removed, which the emulator does for writes only."""
    there = blob.bucket.get_blob(blob.name)
    if there is not None and there.generation != if_generation_match:
        raise PreconditionFailed("another generation")
    delete(blob)


def test_a_file_that_is_there_is_not_written_anew(folder):
    write_new(folder / "a-1234.mp4", b"video")
    write_new(folder / "a-1234.mp4", b"never")
    assert look(folder / "a-1234.mp4").content == b"video"


@pytest.mark.parametrize("before", [None, b"old"])
def test_of_many_at_once_exactly_one_writes(folder, before):
    path = folder / "a.json"
    if before is not None:
        swap(path, Found(None), before)
    seen, start = look(path), threading.Barrier(WRITERS)

    def write(number):
        start.wait()
        return swap(path, seen, b"%d" % number)

    with ThreadPoolExecutor(WRITERS) as writers:
        won = list(writers.map(write, range(WRITERS)))
    assert sum(won) == 1
    assert look(path).content == b"%d" % won.index(True)
    assert [each.name for each in folder.iterdir()] == ["a.json"], "and nothing is left of the others"


HOLD = """
import signal, sys
from etils import epath
from mdctl.storage import once
with once._locked(epath.Path(sys.argv[1])):
    print("holding", flush=True)
    signal.pause()
"""


def test_the_turn_of_a_writer_that_is_killed_ends_with_it(tmp_path):
    holder = Process(["-c", HOLD, tmp_path])
    try:
        holder.expect("holding")
        with ThreadPoolExecutor(1) as writer:
            waiting = writer.submit(swap, epath.Path(tmp_path) / "a", Found(None), b"1")
            assert not waiting.done()
            holder.process.kill()
            assert waiting.result(timeout=20)
    finally:
        holder.close()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written: Not a directory; allow writing to it"):
        swap(epath.Path(tmp_path / "file" / "out" / "a"), Found(None), b"1")


def test_a_bucket_that_is_not_there_is_one_sentence(buckets):
    with pytest.raises(OutputError, match="gs://no-such/a cannot be written: there is no such bucket; let"):
        swap(epath.Path("gs://no-such/a"), Found(None), b"1")


@pytest.mark.parametrize("error", [TooManyRequests("slow down"), ServiceUnavailable("try later")])
def test_a_server_that_is_busy_is_nobodys_mistake(bucket, monkeypatch, error):
    def busy(*arguments, **options):
        raise error

    monkeypatch.setattr(Blob, "upload_from_string", busy)
    with pytest.raises(type(error)):
        swap(epath.Path(bucket) / "a", Found(None), b"1")


def test_ones_own_write_is_not_in_ones_way(bucket, monkeypatch):
    """The answer to a write is lost, the client writes again, and the server refuses what is there already."""
    upload = Blob.upload_from_string

    def twice(blob, *arguments, **options):
        upload(blob, *arguments, **options)
        upload(blob, *arguments, **options)

    monkeypatch.setattr(Blob, "upload_from_string", twice)
    assert swap(epath.Path(bucket) / "a", Found(None), b"1")
    assert look(epath.Path(bucket) / "a").content == b"1"
