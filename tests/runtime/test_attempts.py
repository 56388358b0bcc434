import dataclasses
import json

import pytest
from etils import epath

from mdctl.runtime.attempts import Beginning, Diary, end_crash_loop, home, next_number, open_attempt
from mdctl.runtime.exits import Exit
from mdctl.spec.errors import WillFailAgain
from mdctl.spec.shard import WHOLE, Shard

BEGINNING = Beginning(number=1, run="run-1", incarnation="a1b2", spec="0123", hosts=2, progress=40)


class History:
    """Attempts of a job, one after the other."""

    def __init__(self, folder):
        self.output = epath.Path(folder)

    def begin(self, **facts):
        beginning = dataclasses.replace(BEGINNING, number=next_number(self.output), **facts)
        self.folder = open_attempt(self.output, beginning)
        end_crash_loop(self.output, beginning)
        return beginning.number

    def end(self, code, cause="it broke", rank=0):
        Diary(self.folder, rank).ended(Exit(code, cause))


@pytest.fixture
def history(tmp_path):
    return History(tmp_path)


def fail(history, times, code=1, **facts):
    for _ in range(times):
        history.begin(**facts)
        history.end(code)


def test_attempts_are_numbered(history):
    assert [history.begin(), history.begin()] == [1, 2]


def test_the_fourth_attempt_after_three_in_vain_ends_the_loop_and_says_why(history):
    fail(history, 3)
    with pytest.raises(WillFailAgain, match=r"3 attempts in a row got no further than 40:\n  0001: it broke\n  0002"):
        history.begin()


@pytest.mark.parametrize("code", [1, 76, 134, 137])
def test_crashes_and_lost_peers_count_alike(history, code):
    fail(history, 3, code)
    with pytest.raises(WillFailAgain):
        history.begin()


def test_hosts_that_vanish_without_a_word_count(history):
    for _ in range(3):
        history.begin()
    with pytest.raises(WillFailAgain, match="no host left a word"):
        history.begin()


def test_an_attempt_that_was_told_to_stop_breaks_the_chain(history):
    fail(history, 2)
    fail(history, 1, code=75)
    fail(history, 2)
    assert history.begin() == 6


def test_so_does_one_that_was_killed_while_it_stopped(history):
    fail(history, 2)
    history.begin()
    Diary(history.folder, 1).stopping("SIGTERM")
    fail(history, 1)
    assert history.begin() == 5


def test_so_does_a_newer_checkpoint(history):
    fail(history, 2)
    fail(history, 2, progress=60)
    assert history.begin(progress=60) == 5


def test_submitting_again_starts_a_new_count(history):
    fail(history, 3)
    assert history.begin(run="run-2") == 4


def test_a_record_that_a_kill_cut_short_is_no_record(history):
    history.begin()
    Diary(history.folder, 0).exit.write_text('{"code": 1, "cau')
    assert history.begin() == 2


def test_one_that_is_told_to_stop_as_it_leaves_keeps_how_it_ended(history):
    history.begin()
    diary = Diary(history.folder, 0)
    diary.ended(Exit(76, "lost a peer"))
    diary.stopping("SIGTERM")
    record = json.loads(diary.exit.read_text())
    assert (record["code"], record["cause"], record["disrupted"]) == (76, "lost a peer", False)


def test_each_shard_has_a_crash_loop_of_its_own(tmp_path):
    output = epath.Path(tmp_path)
    shards = [History(home(output, Shard(index, 2))) for index in range(2)]
    for shard in (shards[0], shards[1], shards[0], shards[0]):
        fail(shard, 1)
    with pytest.raises(WillFailAgain, match=r"read their logs under .*shards/0000/attempts"):
        shards[0].begin()
    assert shards[1].begin() == 2
    assert home(output, WHOLE) == output
