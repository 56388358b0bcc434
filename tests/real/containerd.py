"""One containerd: its folders, its configuration, and the commands that it takes.

    <folder>/root       images and containers: what outlives it
    <state>             sockets, and the mounts and network namespaces of what runs; a short path, for sockets have one

It has cgroups of version 1 or 2, with runc and without systemd, and no more privileges than a machine in a machine has.
"""

import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.cluster.plane import processes
from tests.cluster.plane.processes import Process
from tests.real.parts import CONTAINERD, CTR, RUNC, SHIM, plugins

SANDBOX = "docker.io/library/mdctl-pause:1"

PATIENCE = 120.0
"""Seconds within which it answers; the machine may be busy."""

_never = threading.Event()

_CONFIGURATION = """\
version = 3
root = "{root}"
state = "{state}/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{socket}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{sandbox}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
Root = "{state}/runc"
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{network}"
"""


@dataclass(frozen=True)
class Containerd:
    """The containerd whose files are in a folder, with what runs below another."""

    folder: Path
    state: Path

    @property
    def root(self) -> Path:
        """Return where its images are."""
        return self.folder / "root"

    @property
    def network(self) -> Path:
        """Return the folder that says how its pods are connected."""
        return self.folder / "network"

    @property
    def socket(self) -> Path:
        """Return where it listens."""
        return self.state / "containerd.sock"

    def command(self) -> list[str]:
        """Return its command line; the configuration is written."""
        for path in (self.folder, self.state):
            path.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "containerd.toml"
        configuration.write_text(
            _CONFIGURATION.format(
                root=self.root,
                state=self.state,
                socket=self.socket,
                sandbox=SANDBOX,
                runc=RUNC.binary,
                plugins=plugins(),
                network=self.network,
            ),
            encoding="utf-8",
        )
        return [str(CONTAINERD.binary), "--config", str(configuration), "--log-level", "warn"]

    def start(self, name: str, log: Path) -> Process:
        """Start it, and wait until it answers.

        Raises:
            DiedError: it ended.
            TimeoutError: it does not in time.
        """
        path = f"{SHIM.folder}:{os.environ['PATH']}"  # where it looks for its shim
        process = processes.start(name, self.command(), log, {"PATH": path})
        deadline = monotonic() + PATIENCE
        while not self._answers():
            process.check()
            if monotonic() > deadline:
                raise TimeoutError(f"{name} does not answer after {PATIENCE:g} s; its log is {log}")
            _never.wait(0.2)
        return process

    def ctr(self, *arguments: str, check: bool = True) -> str:
        """Run a command of ctr on what Kubernetes sees."""
        command = [str(CTR.binary), "--address", str(self.socket), "--namespace", "k8s.io", *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout

    def process(self, container: str) -> int:
        """Return the id of a running container's first process."""
        tasks = (line.split() for line in self.ctr("tasks", "list").splitlines()[1:])
        return next(int(pid) for name, pid, _ in tasks if name == container)

    def kill_all(self) -> None:
        """End every container, and what keeps it."""
        for task in self.ctr("tasks", "list", "--quiet", check=False).split():
            self.ctr("tasks", "rm", "--force", task, check=False)

    def _answers(self) -> bool:
        return self.socket.exists() and bool(self.ctr("version", check=False))
