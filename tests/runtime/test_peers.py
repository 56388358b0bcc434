import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mdctl.runtime.peers import MemoryStore, Peers


def hosts(count):
    store = MemoryStore(count)
    return [Peers(rank=rank, count=count, store=store) for rank in range(count)]


def on_all(peers, call):
    with ThreadPoolExecutor(len(peers)) as pool:
        return list(pool.map(call, peers))


def test_every_host_has_what_rank_0_shares():
    assert on_all(hosts(3), lambda peer: peer.share("step", 40 if peer.rank == 0 else None, 5)) == [40, 40, 40]


def test_every_host_gathers_all_values_by_rank():
    assert on_all(hosts(3), lambda peer: peer.gather("rank", peer.rank, 5)) == [[0, 1, 2]] * 3


def test_a_host_that_says_nothing_is_named():
    first, _ = hosts(2)
    with pytest.raises(TimeoutError, match=r"host 1 has not said 'rank/1' within 0.01 s"):
        first.gather("rank", 0, 0.01)


def test_a_barrier_opens_when_all_are_there_and_not_before():
    store = MemoryStore(2)
    assert not store.barrier("alone", 0.01)
    passed = threading.Thread(target=store.barrier, args=("both", 5))
    passed.start()
    assert store.barrier("both", 5)
    passed.join()


def test_the_only_host_agrees_with_itself():
    assert Peers().share("step", 1, 0) == 1
    assert Peers().gather("rank", 0, 0) == [0]
