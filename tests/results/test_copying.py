import json
import shutil
import threading
from dataclasses import replace

import pytest

from mdctl.results.artifacts import find_artifacts
from mdctl.results.copying import copy
from mdctl.results.opening import open_store
from mdctl.spec.errors import OutputError, ResultsError
from mdctl.storage.checkpoints import newest_whole
from tests.workers import STEPS


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_is_an_output_directory_with_the_same_artifacts(trained, written, tmp_path):
    found = find_artifacts(trained)
    bytes_seen = []
    copied = copy(found, tmp_path / "copy", bytes_seen.append)
    assert (copied.files, copied.already_there) == (sum(len(each.files) for each in found), 0)
    assert sum(bytes_seen) == copied.size == sum(each.size for each in found)
    again = find_artifacts(open_store(str(tmp_path / "copy")))
    assert [(each.name, each.size) for each in again] == [(each.name, each.size) for each in found]
    assert newest_whole(str(tmp_path / "copy" / "checkpoints")) == (STEPS, [])
    original = contents(written / "trained")
    for name, content in contents(tmp_path / "copy").items():
        assert content == original[name], name


def test_a_file_keeps_its_time(trained, tmp_path):
    metrics = find_artifacts(trained)[-4]
    copy([metrics], tmp_path)
    assert (tmp_path / "metrics.jsonl").stat().st_mtime == pytest.approx(metrics.modified, abs=1e-3)


def test_what_is_there_already_is_not_copied_again(generated, tmp_path):
    found = find_artifacts(generated)
    copy(found, tmp_path)
    video, log = tmp_path / found[0].name, tmp_path / "attempts/0001/host-0.log.jsonl"
    kept = {path: path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file()}
    video.write_bytes(video.read_bytes()[:-1])
    log.write_bytes(b"x" * log.stat().st_size)
    bytes_seen = []
    copied = copy(found, tmp_path, bytes_seen.append)
    assert copied.already_there == copied.files - 2
    assert sum(bytes_seen) == copied.size
    assert video.read_bytes() == generated.read(found[0].name)
    assert log.read_bytes() == generated.read("attempts/0001/host-0.log.jsonl")
    assert {path for path, number in kept.items() if path.stat().st_ino != number} == {video, log}


def test_checkpoints_that_are_kept_elsewhere_come_to_their_usual_place(written, scratch, tmp_path):
    elsewhere = str(written / "trained" / "checkpoints")
    scratch.put("job.yaml", json.dumps({"spec": {"training": {"checkpoint": {"directory": elsewhere}}}}))
    copy(find_artifacts(scratch.store), tmp_path / "copy")
    assert newest_whole(str(tmp_path / "copy" / "checkpoints")) == (STEPS, [])


def test_a_file_that_went_away_is_said_and_nothing_unfinished_is_left(generated, tmp_path):
    video = find_artifacts(generated)[0]
    gone = replace(video, files=(replace(video.files[0], name="samples/gone.mp4"),))
    with pytest.raises(ResultsError, match="gone"):
        copy([gone], tmp_path)
    assert contents(tmp_path) == {}


def test_an_interruption_stops_files_in_the_middle(tmp_path):
    big = tmp_path / "run" / "attempts" / "0001" / "host-0.log.jsonl"
    big.parent.mkdir(parents=True)
    big.write_bytes(b"x" * (8 << 20))

    def interrupt(count):
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(find_artifacts(open_store(str(tmp_path / "run"))), tmp_path / "copy", interrupt)
    assert contents(tmp_path / "copy") == {}
    assert threading.active_count() < 50


def test_a_folder_that_cannot_be_written_is_one_sentence(generated, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/copy cannot be written: Not a directory; make room or allow it"):
        copy(find_artifacts(generated), tmp_path / "file" / "copy")


def test_what_the_disk_has_no_room_for_is_refused_before_anything_is_copied(generated, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OutputError, match=r"copy has room for 1000 bytes, and [0-9]+ are to be copied; make room"):
        copy(find_artifacts(generated), tmp_path / "copy")
    assert contents(tmp_path / "copy") == {}


def test_a_disk_that_fills_up_meanwhile_is_said(generated, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mdctl.results.copying._Target.write", full)
        with pytest.raises(OutputError, match="No space left"):
            copy(find_artifacts(generated), tmp_path)
    assert contents(tmp_path) == {}


def full(self, content):
    from mdctl.results.copying import _unwritable

    raise _unwritable(self._path, OSError(28, "No space left on device"))
