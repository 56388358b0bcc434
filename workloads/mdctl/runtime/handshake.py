"""The first words between hosts, before anything is computed.

Names in a cluster are reused: under the DNS names of this attempt there may still be a host of the one before, or one
that was given another spec. So every host says what it is, rank 0 compares, and gives the attempt its incarnation.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from mdctl.runtime.attempts import Beginning
from mdctl.runtime.peers import Peers
from mdctl.spec.errors import PeerLost, SpecError

Identity = Mapping[str, str]
"""What must be equal on all hosts: `spec` (its hash), `version` (of mdctl), `restart` (of the JobSet)."""


def agree(peers: Peers, identity: Identity, seconds: float) -> str:
    """Compare what the hosts are, and return the incarnation that rank 0 draws.

    Raises:
        SpecError: hosts have different specs or versions.
        PeerLost: a host is of another attempt, or silent.
    """
    try:
        identities = peers.gather("identity", dict(identity), seconds)
        incarnation: str = peers.share("incarnation", secrets.token_hex(4), seconds)
    except TimeoutError as error:
        raise PeerLost(f"{error}; the other hosts have started, so look at its log") from error
    _compare(identities)
    return incarnation


def _compare(identities: list[Identity]) -> None:
    first = identities[0]
    for rank, other in enumerate(identities):
        if other["restart"] != first["restart"]:
            raise PeerLost(f"host {rank} is of restart {other['restart']}, host 0 of {first['restart']}")
        for what in ("version", "spec"):
            if other[what] != first[what]:
                raise SpecError(
                    f"host {rank} has {what} {other[what]}, host 0 has {first[what]}; "
                    f"all hosts of a job must be given the same, so submit the job again"
                )


def begin(peers: Peers, open_: Callable[[], Beginning], seconds: float) -> Beginning:
    """Let rank 0 open the attempt, and return what it says of it on every host."""
    beginning: dict[str, Any] = peers.share("beginning", vars(open_()) if peers.rank == 0 else None, seconds)
    return Beginning(**beginning)
