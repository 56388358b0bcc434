"""Hosts as threads that run ahead of each other as far as a collective lets them."""

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from mdctl.runtime.agreement import Agreement
from mdctl.runtime.peers import MemoryStore, Peers

PATIENCE = 20.0


def never(cause):
    raise AssertionError(cause)


def agreements(count, on_lost=never):
    store = MemoryStore(count)
    return [Agreement(Peers(rank=rank, count=count, store=store), on_lost) for rank in range(count)]


def work_until_told(agreement, begun, enough):
    pieces = 0
    while agreement.go_on():
        pieces += 1
        if pieces == enough:
            begun.set()
    return pieces


@settings(max_examples=20, deadline=None)
@given(ahead=st.lists(st.integers(1, 30), min_size=2, max_size=4), who=st.integers(0, 3))
def test_hosts_stop_after_the_same_piece_wherever_they_were(ahead, who):
    hosts = agreements(len(ahead))
    for host, pieces in zip(hosts, ahead, strict=True):
        for _ in range(pieces):
            assert host.go_on()
    hosts[who % len(hosts)].ask("SIGTERM")
    with ThreadPoolExecutor(len(hosts)) as pool:
        more = list(pool.map(lambda host: work_until_told(host, threading.Event(), -1), hosts))
    total = {pieces + after for pieces, after in zip(ahead, more, strict=True)}
    assert len(total) == 1
    assert total.pop() >= max(ahead)
    assert all(host.reason == "SIGTERM" for host in hosts)


def test_all_may_ask_at_once():
    hosts = agreements(3)
    begun = [threading.Event() for _ in hosts]
    with ThreadPoolExecutor(3) as pool:
        work = [pool.submit(work_until_told, host, event, 5) for host, event in zip(hosts, begun, strict=True)]
        for host, event in zip(hosts, begun, strict=True):
            assert event.wait(PATIENCE)
            host.ask("SIGTERM")
        assert len({pieces.result() for pieces in work}) == 1


def test_told_before_any_piece_none_is_begun():
    (host,) = agreements(1)
    host.ask("SIGINT")
    assert work_until_told(host, threading.Event(), -1) >= 0
    assert not host.go_on()


def test_a_host_that_does_not_answer_is_reported(monkeypatch):
    monkeypatch.setattr("mdctl.runtime.agreement.SECONDS_TO_COMPARE", 0.01)
    lost, heard = [], threading.Event()

    def on_lost(cause):
        lost.append(cause)
        heard.set()

    store = MemoryStore(2)
    Agreement(Peers(rank=0, count=2, store=store), on_lost).ask("SIGTERM")
    assert heard.wait(PATIENCE)
    assert lost == ["asked to stop (SIGTERM), but host 1 has not said 'begun/1' within 0.01 s"]
