"""Samples that several make at once, and that come to grief at any point."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from etils import epath

from mdctl.inference import samples
from mdctl.inference.program import Draw
from mdctl.inference.samples import Encoded, Origin, Wanted, commit_sample, encode, read_records, write_sample
from mdctl.spec.errors import WillFailAgain
from mdctl.storage.once import look
from tests.spec.jobs import job

WANTED = Wanted("a red fox", Draw(7, 3), "0003-a-red-fox")
MADE = Origin(job(task="generate", sampling={"promptsFile": "gs://b/p"}).spec, None, {"shift": 3.0})
OTHER = replace(MADE, settings={"shift": 5.0})

MINE, YOURS = Encoded(b"mine", ".mp4"), Encoded(b"yours", ".mp4")


def names(output):
    return sorted(path.name for path in (output / "samples").iterdir())


def record_of(output):
    """Return the only record that is there, once its file is found to be the only one and as the record says."""
    (name,) = [name for name in names(output) if name.endswith(".json")]
    assert name == "0003-a-red-fox.json"
    record = json.loads(look(output / "samples" / name).content)
    content = look(output / "samples" / record["file"]).content
    assert hashlib.sha256(content).hexdigest() == record["sha256"]
    assert names(output) == sorted([name, record["file"]])
    return record


def test_a_record_says_what_a_sample_was_made_from_and_which_file_it_is(output):
    assert commit_sample(output, WANTED, MADE, MINE)
    record = record_of(output)
    assert record["file"] == f"0003-a-red-fox-{MINE.sha256[:8]}.mp4"
    assert (record["prompt"], record["seed"], record["number"]) == ("a red fox", 7, 3)
    assert MADE.made(record, WANTED)
    assert not OTHER.made(record, WANTED)
    assert read_records(output, [WANTED, replace(WANTED, name="0004-a-hare")]) == [record, {}]


def test_who_is_late_changes_nothing(output):
    commit_sample(output, WANTED, MADE, MINE)
    before = look(output / "samples" / "0003-a-red-fox.json")
    assert not commit_sample(output, WANTED, MADE, YOURS)
    assert look(output / "samples" / "0003-a-red-fox.json") == before
    assert record_of(output)["sha256"] == MINE.sha256


def test_a_sample_of_something_else_goes_with_its_file(output):
    commit_sample(output, WANTED, OTHER, MINE)
    assert commit_sample(output, WANTED, MADE, YOURS)
    assert record_of(output)["sha256"] == YOURS.sha256


def test_the_same_content_made_from_something_else_stays(output):
    commit_sample(output, WANTED, OTHER, MINE)
    assert commit_sample(output, WANTED, MADE, MINE)
    assert MADE.made(record_of(output), WANTED)


@pytest.mark.parametrize("before", [None, OTHER])
@pytest.mark.parametrize("step", ["look", "write_new", "swap"])
@pytest.mark.parametrize("late", [MINE, YOURS])
def test_somebody_else_may_be_faster_between_any_two_steps(output, monkeypatch, before, step, late):
    if before is not None:
        commit_sample(output, WANTED, before, Encoded(b"old", ".mp4"))
    meet(monkeypatch, step, lambda: commit_sample(output, WANTED, MADE, MINE))
    assert commit_sample(output, WANTED, MADE, late) == (late == MINE)
    assert record_of(output)["sha256"] == MINE.sha256


def meet(monkeypatch, step, somebody_else):
    """Let somebody else do all that he does just after our first call of a step, or before it if it is the last."""
    function = getattr(samples, step)

    def and_then(*arguments):
        monkeypatch.setattr(samples, step, function)
        if step == "swap":
            somebody_else()
            return function(*arguments)
        result = function(*arguments)
        somebody_else()
        return result

    monkeypatch.setattr(samples, step, and_then)


class Killed(BaseException):
    """The end of a process, as far as files are concerned."""


@pytest.mark.parametrize("before", [None, OTHER])
@pytest.mark.parametrize("step", ["write_new", "swap"])
@pytest.mark.parametrize("done", [False, True])
def test_killed_at_any_point_it_leaves_no_record_or_a_record_and_its_file(output, monkeypatch, before, step, done):
    if before is not None:
        commit_sample(output, WANTED, before, Encoded(b"old", ".mp4"))
    function = getattr(samples, step)

    def last(*arguments):
        if done:
            function(*arguments)
        raise Killed

    monkeypatch.setattr(samples, step, last)
    with pytest.raises(Killed):
        commit_sample(output, WANTED, MADE, YOURS)
    monkeypatch.setattr(samples, step, function)
    (record,) = read_records(output, [WANTED])
    committed = step == "swap" and done
    assert (record.get("sha256") == YOURS.sha256) == committed
    if record:
        assert hashlib.sha256(look(output / "samples" / record["file"]).content).hexdigest() == record["sha256"]
    assert commit_sample(output, WANTED, MADE, YOURS) != committed
    (record,) = read_records(output, [WANTED])
    assert (record["sha256"], MADE.made(record, WANTED)) == (YOURS.sha256, True)


def test_of_many_at_once_one_is_there_and_nothing_of_the_others(output):
    start = threading.Barrier(6)

    def commit(number):
        start.wait()
        return commit_sample(output, WANTED, MADE, Encoded(b"%d" % number, ".mp4"))

    with ThreadPoolExecutor(6) as makers:
        won = list(makers.map(commit, range(6)))
    assert sum(won) == 1
    assert record_of(output)["sha256"] == Encoded(b"%d" % won.index(True), ".mp4").sha256


def test_a_sample_whose_file_is_gone_is_made_again(output):
    commit_sample(output, WANTED, MADE, MINE)
    (output / "samples" / record_of(output)["file"]).unlink()
    assert read_records(output, [WANTED]) == [{}]
    assert commit_sample(output, WANTED, MADE, YOURS)
    assert record_of(output)["sha256"] == YOURS.sha256


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"file": 3}'])
def test_what_is_no_record_is_written_over(output, text):
    (output / "samples").mkdir(parents=True)
    (output / "samples" / "0003-a-red-fox.json").write_text(text)
    assert read_records(output, [WANTED]) == [{}]
    assert commit_sample(output, WANTED, MADE, MINE)
    assert record_of(output)["sha256"] == MINE.sha256


def test_an_evaluation_writes_over_what_is_there(tmp_path):
    for encoded in (MINE, YOURS):
        write_sample(epath.Path(tmp_path), WANTED, MADE, encoded)
    assert record_of(epath.Path(tmp_path))["sha256"] == YOURS.sha256


def test_frames_become_a_video_and_one_frame_a_picture():
    pixels = np.zeros((5, 16, 16, 3), np.float32)
    assert encode(WANTED, MADE, pixels).suffix == ".mp4"
    picture = encode(WANTED, MADE, pixels[:1])
    assert (picture.suffix, picture.content[1:4]) == (".png", b"PNG")
    with pytest.raises(WillFailAgain, match="'a red fox' is not finite"):
        encode(WANTED, MADE, np.full_like(pixels, np.nan))
