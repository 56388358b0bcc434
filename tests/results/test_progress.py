import json
import os

import pytest

from mdctl.results.attempts import newest_attempts, read_attempts
from mdctl.results.jobs import read_spec
from mdctl.results.progress import read_progress
from tests.results.test_attempts import BEGINNING
from tests.workers import STEPS


def progress(store, spec=None):
    return read_progress(store, read_spec(store) if spec is None else spec, newest_attempts(read_attempts(store)))


TRAINING = {"task": "train", "training": {"steps": 100}}


def step(number, **facts):
    return json.dumps({"step": number, "loss": number / 10, "seconds": 2.0} | facts) + "\n"


def test_a_run_that_real_workers_ended_is_all_done(trained):
    found = progress(trained)
    began_at = read_attempts(trained)[-1].progress
    assert (found.unit, found.done, found.wanted, found.since_began) == ("step", STEPS, STEPS, STEPS - began_at)
    assert 0 < found.loss < 10
    assert found.seconds_each > 0
    assert found.seconds_left == 0


def test_videos_that_real_workers_made_are_counted(generated):
    found = progress(generated)
    assert (found.unit, found.done, found.wanted, found.since_began, found.loss) == ("video", 2, 2, 2, None)
    assert found.seconds_left == 0


def test_steps_come_from_the_metrics(scratch):
    scratch.put("attempts/0001/attempt.json", json.dumps(BEGINNING))
    scratch.put("metrics.jsonl", "".join(map(step, range(1, 61))) + '{"step": 61, "lo')
    found = progress(scratch.store, TRAINING)
    assert (found.done, found.wanted, found.since_began, found.loss) == (60, 100, 20, 6.0)
    assert (found.seconds_each, found.seconds_left) == (2.0, 80.0)


def test_a_log_that_is_ahead_of_the_metrics_counts(scratch):
    """At `gs://` metrics are written before each checkpoint only."""
    scratch.put("attempts/0001/attempt.json", json.dumps(BEGINNING))
    scratch.put("metrics.jsonl", step(50))
    log = [{"message": "trained", "step": 70, "loss": 0.5, "seconds": None}, {"message": "evaluated", "step": 75}]
    scratch.put("attempts/0001/host-0.log.jsonl", "".join(json.dumps(record) + "\n" for record in log))
    found = progress(scratch.store, TRAINING)
    assert (found.done, found.loss, found.seconds_each, found.seconds_left) == (70, 0.5, None, None)


def test_steps_that_the_newest_attempt_went_back_over_are_lost(scratch):
    scratch.put("metrics.jsonl", "".join(map(step, range(1, 56))))
    later = scratch.store.find("metrics.jsonl").modified + 60
    scratch.put("attempts/0001/attempt.json", json.dumps(BEGINNING | {"progress": 40, "time": later}))
    found = progress(scratch.store, TRAINING)
    assert (found.done, found.since_began, found.loss) == (40, 0, 4.0)


def test_a_job_that_has_just_begun_is_where_it_began(scratch):
    assert progress(scratch.store, TRAINING).done == 0
    scratch.put("attempts/0001/attempt.json", json.dumps(BEGINNING))
    found = progress(scratch.store, TRAINING)
    assert (found.done, found.since_began, found.loss, found.seconds_left) == (40, 0, None, None)


def test_long_metrics_are_read_from_their_end(scratch):
    scratch.put("metrics.jsonl", "".join(step(number, padding="x" * 100) for number in range(1, 2001)))
    read = []
    store = scratch.store
    tail = type(store).read

    class Counting(type(store)):
        def read(self, name, start=0):
            content = tail(self, name, start)
            read.append(len(content or b""))
            return content

    counting = Counting(*(getattr(store, field) for field in type(store).__dataclass_fields__))
    assert progress(counting, TRAINING).done == 2000
    assert sum(read) < 100_000


SAMPLING = {"task": "generate", "sampling": {"prompts": ["a", "b", "c", "d"]}}


def test_the_pace_of_videos_is_that_since_the_attempt_began(tmp_path, scratch):
    for number in range(3):
        scratch.put(f"samples/{number:04d}-a.json", "{}")
        scratch.put(f"samples/{number:04d}-a-00000000.mp4", "")
    scratch.put("samples/manifest.jsonl", "")
    times = sorted(entry.modified for entry in scratch.store.files("samples") if entry.name.endswith(".json"))
    scratch.put("attempts/0001/attempt.json", json.dumps(BEGINNING | {"time": times[0] - 1}))
    found = progress(scratch.store, SAMPLING)
    assert (found.done, found.wanted, found.since_began) == (3, 4, 3)
    assert found.seconds_left == pytest.approx((times[-1] - times[0]) / 2)
    scratch.put("attempts/0002/attempt.json", json.dumps(BEGINNING | {"time": times[-1] + 60}))
    found = progress(scratch.store, SAMPLING)
    assert (found.done, found.since_began, found.seconds_left) == (3, 0, None)


def test_prompts_in_a_file_are_counted_where_it_can_be_read(scratch, monkeypatch, tmp_path):
    scratch.put("prompts.txt", "a red fox\n\n  \na blue fox\n")
    file = f"{scratch.location}/prompts.txt"
    spec = {"task": "generate", "sampling": {"prompts": [], "promptsFile": file}}
    assert progress(scratch.store, spec).wanted == 2
    spec = {"task": "generate", "sampling": {"promptsFile": "/data/only/there/prompts.txt"}}
    assert progress(scratch.store, spec).wanted is None
    (tmp_path / "here.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    assert progress(scratch.store, {"task": "generate", "sampling": {"promptsFile": "here.txt"}}).wanted == 1
    os.chdir("/")
