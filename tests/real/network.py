"""One bridge for all: it carries the nodes' addresses, the pods, the DNS server and the bucket.

    10.244.0.1           DNS, and the bucket
    10.244.0.11 + n      node n
    10.244.<n + 1>.0/24  its pods

Everything is on one link: nothing is routed or translated, and pods reach nothing else.
"""

import json
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.cluster.plane.components import Object

BRIDGE = "mdctl0"
PREFIX = "10.244"
HOST = f"{PREFIX}.0.1"


def node_address(index: int) -> str:
    """Return a node's own address."""
    return f"{PREFIX}.0.{11 + index}"


def create(nodes: int) -> None:
    """Make the bridge, with an address for each node."""
    delete()
    _ip("link", "add", BRIDGE, "type", "bridge")
    for address in (HOST, *map(node_address, range(nodes))):
        _ip("address", "add", f"{address}/16", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def delete() -> None:
    """Remove the bridge where there is one."""
    with suppress(subprocess.CalledProcessError):
        _ip("link", "delete", BRIDGE)


def write_configuration(folder: Path, index: int, addresses: Path) -> None:
    """Write how the pods of a node are connected; `addresses` is the folder of those that are taken."""
    folder.mkdir(parents=True)
    pods = f"{PREFIX}.{index + 1}"
    ipam: Object = {
        "type": "host-local",
        "dataDir": str(addresses),
        "ranges": [[{"subnet": f"{PREFIX}.0.0/16", "rangeStart": f"{pods}.2", "rangeEnd": f"{pods}.254"}]],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": False, "ipMasq": False, "ipam": ipam}
    network = {"cniVersion": "1.0.0", "name": BRIDGE, "plugins": [bridge]}
    (folder / "10-bridge.conflist").write_text(json.dumps(network, indent=2), encoding="utf-8")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
