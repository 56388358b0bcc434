"""A control plane with real nodes: four of them, as two v5p-16 slices of two hosts, that run our image for real.

    <folder>/plane          the control plane, with its kubeconfig and fake nodes
    <folder>/nodes/<node>   files of each real node
    <folder>/state.json     the processes beside the control plane's
    <folder>/logs

One to a machine: they have one bridge, and the addresses on it.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from mdctl.render.image import default_image
from tests.cluster.plane import plane as control
from tests.cluster.plane import processes
from tests.cluster.plane.api import Api, holds
from tests.cluster.plane.build import CONTROL_PLANE, CannotBuildError, build
from tests.cluster.plane.certificates import Authority
from tests.cluster.plane.components import REPOSITORY, Object
from tests.cluster.plane.nodes import POOL, Pool, ready
from tests.cluster.plane.plane import Plane
from tests.cluster.plane.processes import Process
from tests.cluster.plane.queues import Queues
from tests.real import bucket, dns, image, network, store
from tests.real.containerd import SANDBOX
from tests.real.node import Node
from tests.real.parts import PARTS, check_machine
from tests.real.unmounting import unmount_below

FAMILY = "v5p-16"
POOLS = tuple(Pool(name=f"real-{letter}", family=FAMILY, slice="v5p-16", size=2) for letter in "ab")
ALONE = Pool(name="real-alone", family="v5p-8", slice="v5p-8", size=4)
"""What the same nodes are while each is a slice of its own (see `RealCluster.hosts_alone`)."""

IMAGE = default_image("tpu")

QUEUED = (*POOLS, ALONE)

PATIENCE = 180.0
"""Seconds within which real nodes and pods do anything that nothing is computed for."""


class RealCluster:
    """A control plane and real nodes that run, and what tests do with them."""

    def __init__(self, folder: Path) -> None:
        """Raise FileNotFoundError where none was started, or it was stopped."""
        self.folder = folder
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        self.processes = [Process(**each) for each in state["processes"]]
        self.plane = Plane.load(folder / "plane")
        self.queues = Queues(self.plane.api, QUEUED)
        self.nodes = nodes(folder, self.plane.site.server)

    @property
    def api(self) -> Api:
        """Return the API server."""
        return self.plane.api

    @property
    def alive(self) -> bool:
        """Say whether everything runs."""
        return all(process.alive for process in [*self.plane.processes, *self.processes])

    @contextmanager
    def hosts_alone(self) -> Iterator[None]:
        """Let every node be a slice of its own meanwhile."""
        self._label(dict.fromkeys(_names(), ALONE))
        try:
            yield
        finally:
            self._label({name: pool for pool in POOLS for name in pool.node_names})

    def _label(self, pools: Mapping[str, Pool]) -> None:
        for name, pool in pools.items():
            labels = {**pool.resolved.node_selector, POOL: pool.name}
            self.api.patch("Node", name, {"metadata": {"labels": labels}})


def check_user() -> None:
    """Raise CannotBuildError where real nodes cannot be: they are for root, on Linux."""
    if sys.platform != "linux" or os.geteuid() != 0:
        user = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
        raise CannotBuildError(f"real nodes run containers, for root on Linux only; here is {user} on {sys.platform}")


def nodes(folder: Path, server: str) -> list[Node]:
    """Return the nodes of all pools."""
    return [Node(name, index, folder / "nodes" / name, server) for index, name in enumerate(_names())]


def up(folder: Path) -> RealCluster:
    """Build what is not built, and start all of it in a folder, from nothing."""
    check_user()
    check_machine()
    build([*CONTROL_PLANE, *PARTS])
    built = {f"docker.io/library/{IMAGE}": image.build("workload-tpu"), SANDBOX: image.make_pause()}
    images = store.unpacked(built)
    down(folder)
    plane = control.up(folder / "plane")
    running: list[Process] = []
    try:
        network.create(len(nodes(folder, "")))
        _start_all(folder, plane, images, running)
    finally:
        _save(folder, running)
    return RealCluster(folder)


def down(folder: Path) -> bool:
    """Stop all of it, and leave nothing mounted, no address and no file but logs; say whether there was anything."""
    there = (folder / "state.json").exists()
    running = []
    with suppress(FileNotFoundError):
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        running = [Process(**each) for each in state["processes"]]
    processes.stop(each for each in running if each.name.startswith("kubelet"))
    for node in nodes(folder, ""):
        if node.containerd.socket.exists():
            node.containerd.kill_all()
    processes.stop(running)
    control.down(folder / "plane")
    for node in nodes(folder, ""):
        node.remove()
    unmount_below(folder)
    network.delete()
    shutil.rmtree(folder / "nodes", ignore_errors=True)
    (folder / "state.json").unlink(missing_ok=True)
    return there


def _start_all(folder: Path, plane: Plane, images: Path, running: list[Process]) -> None:
    logs = folder / "logs"
    authority = Authority(plane.site.folder / "certificates")

    def start(name: str, command: Sequence[str]) -> None:
        running.append(processes.start(name, command, logs / f"{name}.log", {"PYTHONPATH": str(REPOSITORY)}))

    start("coredns", dns.command(folder, plane.kubeconfig))
    start("bucket", bucket.command())
    for node in nodes(folder, plane.site.server):
        node.prepare(authority, images)
    for pool in POOLS:
        for index in range(pool.size):
            plane.api.create(_as_real(pool.node(index)))
    for node in nodes(folder, plane.site.server):
        running += node.start(logs)
    _furnish(plane)
    for process in running:
        process.check()


def _as_real(node: Object) -> Object:
    """Return a node for which a kubelet speaks, not KWOK."""
    metadata = {key: value for key, value in node["metadata"].items() if key != "annotations"}
    return {**node, "metadata": metadata, "status": {}}


def _offers(chips: Mapping[str | None, str], node: Object) -> bool:
    return ready(node) and chips.items() <= node["status"]["allocatable"].items()


def _furnish(plane: Plane) -> None:
    """Wait for the nodes, give each its chips, and create the queues of the default namespace."""
    for pool in POOLS:
        for index, name in enumerate(pool.node_names):
            plane.api.until_one(lambda node: holds(node, "Ready"), "Node", name, patience=PATIENCE)
            chips = {pool.resolved.resource: pool.node(index)["status"]["capacity"][pool.resolved.resource]}
            plane.api.patch("Node", name, {"status": {"capacity": chips}}, subresource="/status")
            plane.api.until_one(partial(_offers, chips), "Node", name, patience=PATIENCE)
    queues = Queues(plane.api, QUEUED)
    queues.create_flavors()
    queues.create("default")


def _save(folder: Path, running: Sequence[Process]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = {"processes": [asdict(process) for process in running]}
    temporary = folder / ".state.json"
    temporary.write_text(json.dumps(state, indent=2), encoding="utf-8")
    temporary.rename(folder / "state.json")


def _names() -> list[str]:
    return [name for pool in POOLS for name in pool.node_names]
