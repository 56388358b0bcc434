import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mdctl.runtime.peers import MemoryStore, Peers
from mdctl.runtime.preparation import Preparation
from mdctl.runtime.watchdog import Watchdog
from tests.runtime.notes import Notes

PATIENCE = 20.0


def prepare(peers=None, watchdog=None, patience=7.0, show=lambda what, done, total: None):
    return Preparation(peers=peers or Peers(), watchdog=watchdog or Notes(), patience=patience, show=show)


def test_each_piece_has_a_time_of_its_own():
    shown = []
    preparation = prepare(show=lambda *piece: shown.append(piece))
    assert list(preparation.share.over("encoding clip", "ab", 2)) == ["a", "b"]
    assert preparation.watchdog.said == [
        ("encoding clip 1 of 2", 7.0),
        ("encoding clip 2 of 2", 7.0),
        ("encoding clip 2 of 2", 7.0),
    ]
    assert shown == [("encoding clip", 0, 2), ("encoding clip", 1, 2), ("encoding clip", 2, 2)]


def test_a_piece_that_takes_too_long_is_a_hang():
    heard, messages = threading.Event(), []

    def bark(message):
        messages.append(message)
        heard.set()

    share = prepare(watchdog=Watchdog(bark), patience=0.01).share
    for _ in share.over("encoding clip", range(4000), 4000):
        assert heard.wait(PATIENCE)
        break
    assert messages == ["encoding clip 1 of 4000 has not finished within 0.01 s"]


@pytest.mark.parametrize(
    "wait",
    [
        lambda preparation: preparation.meet(),
        lambda preparation: preparation.all_say("index", "same"),
        lambda preparation: preparation.first_says("record", True if preparation.peers.rank == 0 else None),
    ],
    ids=["meet", "all_say", "first_says"],
)
def test_other_hosts_may_take_longer_than_any_piece(wait):
    store, heard = MemoryStore(2), threading.Event()
    watchdog = Watchdog(lambda message: heard.set())
    late, early = (
        prepare(Peers(rank=rank, count=2, store=store), each, patience=PATIENCE)
        for rank, each in enumerate([Notes(), watchdog])
    )
    with ThreadPoolExecutor(1) as pool:
        watchdog.expect("encoding clip 9 of 9", 0.2)
        waiting = pool.submit(wait, early)
        assert not heard.wait(0.5)
        wait(late)
        waiting.result(PATIENCE)
    watchdog.rest()
    assert late.watchdog.said[0] == "rest"
    assert late.watchdog.said[-1] == ("preparing the data set", PATIENCE)


def test_hosts_meet_again_and_again():
    store = MemoryStore(2)
    hosts = [prepare(Peers(rank=rank, count=2, store=store)) for rank in range(2)]
    passed = []

    def walk(host):
        for number in range(20):
            host.meet()
            passed.append(number)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(walk, hosts))
    # Nobody is a whole meeting ahead of somebody who has not passed the one before.
    assert all(abs(number - place // 2) <= 1 for place, number in enumerate(passed))
