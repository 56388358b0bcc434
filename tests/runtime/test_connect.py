import socket

import pytest

from mdctl.runtime.connect import check_platform, connect
from mdctl.spec.environment import Place
from mdctl.spec.errors import MdctlError, PeerLost

PLACE = Place(coordinator="127.0.0.1:1", num_slices=2, hosts_per_slice=4, slice_index=1, host_index=3)


def test_the_only_host_needs_nobody():
    assert connect(Place(), 0).count == 1


def test_a_coordinator_that_never_answers_is_a_lost_peer():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # taken, and never listened on
        place = Place(coordinator=f"127.0.0.1:{probe.getsockname()[1]}", hosts_per_slice=2, host_index=1)
        with pytest.raises(PeerLost, match=r"rank 0 does not answer at 127.0.0.1:\d+: .*refused"):
            connect(place, -1)


def test_what_the_platform_injected_must_agree():
    ours = {"TPU_WORKER_ID": "3", "MEGASCALE_SLICE_ID": "1", "MEGASCALE_NUM_SLICES": "2"}
    check_platform(PLACE, {})
    check_platform(PLACE, ours)
    with pytest.raises(MdctlError, match="MEGASCALE_SLICE_ID=0, but this host's slice_index is 1; restart"):
        check_platform(PLACE, ours | {"MEGASCALE_SLICE_ID": "0"})
