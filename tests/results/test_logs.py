import json
import threading

import pytest

from mdctl.results.attempts import read_attempts
from mdctl.results.logs import Selection, follow_logs, read_logs
from tests.results.test_attempts import History


def line(time, host, message):
    return json.dumps({"time": time, "level": "info", "host": host, "message": message}) + "\n"


@pytest.fixture
def history(scratch):
    return History(scratch)


def test_what_real_hosts_logged_is_merged_by_time(trained):
    lost = read_attempts(trained)[0]
    records = list(read_logs(trained, [lost]))
    assert {record.host for record in records} == {0, 1}
    assert [record.time for record in records] == sorted(record.time for record in records)
    assert [record.host for record in records if record.message == "attempt begins"].count(1) == 1
    steps = [json.loads(record.line)["step"] for record in records if record.message == "trained" and record.host == 0]
    assert steps == list(range(1, len(steps) + 1))
    (last,) = [record for record in records if record.level == "error"]
    assert "lost a peer" in last.message


def test_some_hosts_and_a_time_are_selected(trained):
    lost = read_attempts(trained)[0]
    every = list(read_logs(trained, [lost]))
    ours = list(read_logs(trained, [lost], Selection(hosts={1})))
    assert ours == [record for record in every if record.host == 1]
    since = every[len(every) // 2].time
    late = list(read_logs(trained, [lost], Selection(since=since)))
    assert late == [record for record in every if record.time >= since]
    assert len(late) < len(every)


def test_a_line_that_is_being_written_is_not_there_yet(history):
    history.begin()
    history.put("attempts/0001/host-0.log.jsonl", line(1, 0, "a") + "not JSON\n" + line(3, 0, "b") + '{"time": 4, "mes')
    assert [record.message for record in read_logs(history.store, [history.only])] == ["a", "b"]


def test_an_attempt_without_logs_has_no_records(history):
    history.begin()
    assert list(read_logs(history.store, [history.only])) == []


class Script:
    """Does the next thing at each wait, in place of time that passes."""

    def __init__(self, *actions):
        self.actions = list(actions)

    def __call__(self, seconds):
        assert seconds > 0
        if not self.actions:
            return True
        self.actions.pop(0)()
        return False


def test_what_is_added_is_followed_until_every_host_has_ended(history):
    history.begin()
    logs = ["", ""]

    def add(host, *records):
        logs[host] += "".join(line(time, host, message) for time, message in records)
        history.put(f"attempts/0001/host-{host}.log.jsonl", logs[host])

    def end():
        history.end(0, 0)
        history.end(1, 0)

    add(0, (1, "a"))
    script = Script(
        lambda: None,
        lambda: (add(1, (2, "b"), (5, "e")), add(0, (3, "c"), (4, "d"))),
        end,
        lambda: add(0, (6, "f")),  # the last lines come after the word that it ended
        lambda: pytest.fail("looked again after the end"),
    )
    followed = [record.message for record in follow_logs(history.store, [history.only], script)]
    assert followed == ["a", "b", "c", "d", "e", "f"]


def test_following_ends_when_another_attempt_begins(history):
    history.begin()
    history.log(0, "a")
    attempt = history.only
    script = Script(lambda: history.begin(2), lambda: None)
    assert [record.message for record in follow_logs(history.store, [attempt], script)] == ["a"]
    assert script.actions == []


def test_following_ends_when_the_caller_says_so(history):
    history.begin()
    history.log(0, "a")
    stop = threading.Event()
    stop.set()
    records = follow_logs(history.store, [history.only], stop.wait, Selection(hosts=[0]))
    assert [record.message for record in records] == ["a"]


def test_shards_are_read_together(history):
    for shard in (0, 1):
        home = f"shards/{shard:04d}/"
        history.begin(home=home, hosts=1)
        history.put(f"{home}attempts/0001/host-{shard}.log.jsonl", line(2 - shard, shard, f"of {shard}"))
    records = read_logs(history.store, read_attempts(history.store))
    assert [record.message for record in records] == ["of 1", "of 0"]
