from concurrent.futures import ThreadPoolExecutor

import pytest

from mdctl.runtime.handshake import agree
from mdctl.runtime.peers import MemoryStore, Peers
from mdctl.spec.errors import PeerLost, SpecError

SAME = {"spec": "aaaa", "version": "mdctl 1", "restart": "0"}


def shake(*identities, seconds=5):
    """Return what each host's handshake gave or raised."""
    store = MemoryStore(len(identities))

    def one(rank):
        try:
            return agree(Peers(rank=rank, count=len(identities), store=store), identities[rank], seconds)
        except (SpecError, PeerLost) as error:
            return error

    with ThreadPoolExecutor(len(identities)) as pool:
        return list(pool.map(one, range(len(identities))))


def test_hosts_that_are_alike_share_one_incarnation():
    first, second, third = shake(SAME, SAME, SAME)
    assert first == second == third
    assert len(first) == 8


def test_two_jobs_have_two_incarnations():
    assert shake(SAME) != shake(SAME)


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        ({"spec": "bbbb"}, SpecError, "host 1 has spec bbbb, host 0 has aaaa; all hosts"),
        ({"version": "mdctl 2"}, SpecError, "host 1 has version mdctl 2, host 0 has mdctl 1"),
        ({"restart": "1"}, PeerLost, "host 1 is of restart 1, host 0 of 0"),
    ],
)
def test_every_host_refuses_one_that_differs(other, error, message):
    for found in shake(SAME, SAME | other):
        assert isinstance(found, error)
        assert message in str(found)


def test_a_silent_host_is_a_lost_peer():
    with pytest.raises(PeerLost, match="host 1 has not said"):
        agree(Peers(rank=0, count=2, store=MemoryStore(2)), SAME, 0.01)
