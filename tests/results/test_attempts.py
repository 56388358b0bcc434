import json

import pytest

from mdctl.results.attempts import (
    State,
    joint_failure,
    joint_state,
    last_words,
    newest_attempts,
    read_again,
    read_attempts,
)

BEGINNING = {"number": 1, "run": "r", "incarnation": "i", "spec": "s", "hosts": 2, "progress": 40, "time": 1000.0}


class History:
    """Attempts as hosts write them."""

    def __init__(self, scratch):
        self.put = scratch.put
        self.store = scratch.store

    def begin(self, number=1, home="", **facts):
        self.put(f"{home}attempts/{number:04d}/attempt.json", json.dumps(BEGINNING | {"number": number} | facts))

    def end(self, host, code, number=1, home="", **facts):
        record = {"code": code, "cause": "it broke", "disrupted": code == 75, "origin": None, "time": 2000.0} | facts
        self.put(f"{home}attempts/{number:04d}/host-{host}.exit.json", json.dumps(record))

    def log(self, host, *messages, number=1):
        lines = (json.dumps({"time": 1.0, "host": host, "message": message}) + "\n" for message in messages)
        self.put(f"attempts/{number:04d}/host-{host}.log.jsonl", "".join(lines))

    @property
    def only(self):
        (attempt,) = read_attempts(self.store)
        return attempt


@pytest.fixture
def history(scratch):
    return History(scratch)


def test_what_real_workers_wrote_is_found(trained):
    lost, stopped, done = read_attempts(trained)
    assert [attempt.number for attempt in (lost, stopped, done)] == [1, 2, 3]
    assert [attempt.state for attempt in (lost, stopped, done)] == [State.FAILED, State.PREEMPTED, State.DONE]
    assert [attempt.hosts for attempt in (lost, stopped, done)] == [2, 2, 1]
    assert {attempt.run for attempt in (lost, stopped, done)} == {"trained"}
    assert all(attempt.is_over for attempt in (lost, stopped, done))
    assert lost.began < stopped.began < done.began < done.heard
    assert (lost.progress, done.failure) == (0, None)


def test_the_end_that_explains_the_others_is_found(trained):
    lost, stopped, _ = read_attempts(trained)
    assert (lost.failure.host, lost.failure.code, lost.failure.disrupted) == (1, 137, False)
    assert lost.failure.cause.startswith("killed by SIGKILL")
    assert {end.code for end in lost.ends} == {76, 137}
    assert (stopped.failure.code, stopped.failure.disrupted) == (75, True)
    assert "asked to stop (SIGTERM); saved at step" in stopped.failure.cause


def test_the_last_lines_of_a_host_are_those_of_its_log(trained):
    lost, _, done = read_attempts(trained)
    assert "lost a peer" in last_words(trained, lost, 0)[-1]
    lines = [json.loads(line) for line in last_words(trained, done, 0, count=3)]
    assert [line["host"] for line in lines] == [0, 0, 0]
    assert last_words(trained, done, 7) == ()


def test_what_a_process_printed_last_says_more_than_its_log(history):
    history.begin()
    history.log(0, "training")
    history.end(0, 134, last_lines=["Fatal Python error", "Aborted"])
    assert last_words(history.store, history.only, 0, count=1) == ("Aborted",)


def test_an_attempt_whose_hosts_said_nothing_runs(history):
    history.begin()
    history.log(0, "training")
    attempt = history.only
    assert (attempt.state, attempt.is_over, attempt.failure, attempt.ends) == (State.RUNNING, False, None, ())
    assert (attempt.began, attempt.progress, attempt.incarnation, attempt.spec) == (1000.0, 40, "i", "s")
    assert attempt.heard > 1000.0


def test_one_host_that_is_done_does_not_make_an_end(history):
    history.begin()
    history.end(0, 0)
    assert (history.only.state, history.only.is_over) == (State.RUNNING, False)
    history.end(1, 0)
    assert (history.only.state, history.only.is_over) == (State.DONE, True)


def test_a_host_that_was_told_to_stop_is_stopping(history):
    history.begin()
    history.end(0, None, disrupted=True)
    assert (history.only.state, history.only.is_over) == (State.STOPPING, False)


def test_a_host_that_was_killed_while_it_stopped_was_preempted(history):
    history.begin(hosts=1)
    history.end(0, 137, disrupted=True)
    assert history.only.state is State.PREEMPTED


def test_hosts_that_vanished_are_lost_once_another_attempt_began(history):
    history.begin(1)
    history.begin(2)
    first, second = read_attempts(history.store)
    assert (first.state, first.is_over, second.state) == (State.LOST, True, State.RUNNING)


@pytest.mark.parametrize(
    ("ends", "host"),
    [
        ({0: {"code": 76, "time": 1}, 1: {"code": 3, "time": 2}}, 1),  # a lost peer explains nothing
        ({0: {"code": 1, "time": 2}, 1: {"code": 1, "time": 1}}, 1),  # the first of two
        ({0: {"code": 3, "time": 1, "origin": 1}, 1: {"code": 3, "time": 2, "origin": None}}, 1),  # told by the other
        ({0: {"code": 76, "time": 1}, 1: {"code": 76, "time": 2}}, 0),
        ({0: {"code": 2, "time": 1, "origin": 1}}, 0),  # host 1 did not even write
    ],
)
def test_which_of_several_failures_explains_the_others(history, ends, host):
    history.begin()
    for number, facts in ends.items():
        history.end(number, **facts)
    assert history.only.failure.host == host


def test_records_that_a_kill_cut_short_are_none(history):
    history.begin()
    history.put("attempts/0001/host-0.exit.json", '{"code": 1, "cau')
    history.put("attempts/0002/attempt.json", "")
    history.put("attempts/0002/host-3.log.jsonl", "")
    history.put("attempts/notes.txt", "not an attempt")
    first, second = read_attempts(history.store)
    assert first.ends == ()
    assert (second.number, second.hosts, second.progress, second.run) == (2, 1, 0, None)


def test_an_end_without_a_time_has_that_of_its_file(history):
    history.begin()
    history.end(1, 137, time=None)
    assert history.only.failure.time > 1.7e9


def test_an_attempt_is_read_again(history):
    history.begin()
    before = history.only
    history.end(0, 0)
    assert [end.host for end in read_again(history.store, before).ends] == [0]
    history.begin(2)
    assert read_again(history.store, before).superseded


def test_no_attempts_are_none(scratch):
    assert read_attempts(scratch.store) == newest_attempts([]) == []
    assert joint_state([]) is joint_failure([]) is None


def test_shards_have_attempts_of_their_own(history):
    for shard, ends in ((0, (0,)), (1, (137, 0)), (11, (None,))):
        for number, code in enumerate(ends, start=1):
            history.begin(number, home=f"shards/{shard:04d}/", hosts=1)
            if code is not None:
                history.end(shard, code, number, home=f"shards/{shard:04d}/", time=2000.0 + shard)
    newest = newest_attempts(read_attempts(history.store))
    assert [(attempt.shard, attempt.number, attempt.folder) for attempt in newest] == [
        (0, 1, "shards/0000/attempts/0001"),
        (1, 2, "shards/0001/attempts/0002"),
        (11, 1, "shards/0011/attempts/0001"),
    ]
    assert [attempt.state for attempt in newest] == [State.DONE, State.DONE, State.RUNNING]
    assert (joint_state(newest), joint_failure(newest)) == (State.RUNNING, None)
    history.begin(1, home="shards/0011/", hosts=1)
    history.end(11, 3, 1, home="shards/0011/")
    newest = newest_attempts(read_attempts(history.store))
    assert (joint_state(newest), joint_failure(newest).host) == (State.FAILED, 11)
    assert read_again(history.store, newest[0]) == newest[0]
