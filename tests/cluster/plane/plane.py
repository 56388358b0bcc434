"""A Kubernetes control plane on this machine: real in every part but its nodes. Up in a quarter of a minute.

    <folder>/kubeconfig            of a user who may do everything
    <folder>/state.json            ports, and the processes by id and start time: written when it is up
    <folder>/logs/<component>.log
    <folder>/users/<user>          kubeconfigs of other users

Everything listens on 127.0.0.1, at ports that were free.
"""

import fcntl
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.cluster.plane import processes
from tests.cluster.plane.api import Api
from tests.cluster.plane.certificates import Authority
from tests.cluster.plane.components import PORTS, Site
from tests.cluster.plane.nodes import Nodes
from tests.cluster.plane.pods import Pods
from tests.cluster.plane.processes import Process
from tests.cluster.plane.queues import Queues
from tests.cluster.plane.starting import ADMINS, launch, start_all, until_answers

__all__ = ["ADMINS", "Plane", "down", "up"]

Object = dict[str, Any]


class Plane:
    """A control plane that runs, and what tests do with it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.api = Api(site.kubeconfig)
        self.nodes = Nodes(self.api)
        self.pods = Pods(self.api, site.pod_logs)
        self.queues = Queues(self.api)

    @classmethod
    def load(cls, folder: Path) -> "Plane":
        """Return the control plane whose files are in a folder.

        Raises:
            FileNotFoundError: none was started there, or it was stopped.
        """
        return cls(Site(folder, _state(folder)["ports"]))

    @property
    def processes(self) -> list[Process]:
        """Return its processes as they are now: another process than this one may have started some anew."""
        return _processes(self.site.folder)

    @property
    def kubeconfig(self) -> Path:
        """Return the kubeconfig of a user who may do everything."""
        return self.site.kubeconfig

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig of a user with these groups; with ADMINS among them, one who may do everything."""
        path = self.site.folder / "users" / quote(user, safe="")
        path.parent.mkdir(exist_ok=True)
        authority = Authority(self.site.folder / "certificates")
        return authority.kubeconfig(path, self.site.server, user, groups)

    def requests(self, user: str) -> list[Object]:
        """Return the audit log's entries of what a user asked of the API server."""
        lines = self.site.audit_log.read_text(encoding="utf-8").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["user"].get("username") == user]

    def stop_apiserver(self) -> None:
        """Kill the API server, as a machine that fails does."""
        process = self._process("kube-apiserver")
        processes.stop([process], patience=0)
        self.api.close()

    def start_apiserver(self) -> None:
        """Start the API server again, at the same port, and wait until it answers."""
        others = [process for process in self.processes if process.name != "kube-apiserver"]
        _save(self.site, [*others, launch(self.site, "kube-apiserver")])
        until_answers(self._process("kube-apiserver"), lambda: self.api.text("GET", "readyz"))

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again."""
        self.stop_apiserver()
        self.start_apiserver()

    def namespace(self, name: str, labels: dict[str, str] | None = None) -> str:
        """Create a namespace in which pods can be created; return its name."""
        metadata = {"name": name, "labels": labels or {}}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.api.until_one(lambda _: True, "ServiceAccount", "default", name)
        return name

    @contextmanager
    def claim(self, families: Iterable[str] = (), *, alone: bool = False) -> Iterator[None]:
        """Keep node pools from other tests meanwhile, or with `alone` the whole cluster.

        Claim all that are needed at once: two tests that wait for each other wait forever.
        """
        with ExitStack() as locks:
            for name in ("cluster", *sorted(families)):
                path = self.site.folder / "locks" / name
                path.parent.mkdir(exist_ok=True)
                shared = name == "cluster" and not alone
                fcntl.flock(locks.enter_context(path.open("w")), fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield

    @contextmanager
    def fresh_namespace(
        self, families: Iterable[str] = (), labels: dict[str, str] | None = None, *, alone: bool = False
    ) -> Iterator[str]:
        """Yield a namespace with queues, and node pools that nobody else uses; leave nothing of it."""
        families = list(families)
        with self.claim(families, alone=alone):
            name = self.namespace(f"t-{secrets.token_hex(4)}", labels)
            try:
                self.queues.create(name)
                yield name
            finally:
                for kind in ("JobSet", "Job", "Pod"):
                    self.api.delete_all(kind, name, propagationPolicy="Background")
                for family in families:
                    self.nodes.restore(family)
                self.api.until_gone("Pod", name)
                self.api.delete("Namespace", name)
                self.queues.delete(name)

    def close(self) -> None:
        """Close this process's connections; the cluster goes on."""
        self.api.close()

    def _process(self, name: str) -> Process:
        return next(process for process in self.processes if process.name == name)


def up(folder: Path) -> Plane:
    """Start a control plane in a folder, from nothing.

    Raises:
        DiedError: a component ended; says its last lines.
    """
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    site = Site(folder, {name: processes.free_port() for name in PORTS})
    running: list[Process] = []
    try:
        start_all(site, running)
    except BaseException:
        processes.stop(running)
        raise
    _save(site, running)
    return Plane.load(folder)


def down(folder: Path) -> bool:
    """Stop the control plane of a folder, and forget what it stored; say whether there was one."""
    try:
        running = _processes(folder)
    except FileNotFoundError:
        return False
    processes.stop(running, patience=1)  # nothing that they would save is kept
    (folder / "state.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "etcd", ignore_errors=True)
    return True


def _state(folder: Path) -> Object:
    state: Object = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return state


def _processes(folder: Path) -> list[Process]:
    return [Process(**each) for each in _state(folder)["processes"]]


def _save(site: Site, running: Sequence[Process]) -> None:
    state = {"ports": site.ports, "processes": [asdict(process) for process in running]}
    temporary = site.folder / ".state.json"
    temporary.write_text(json.dumps(state, indent=2), encoding="utf-8")
    temporary.rename(site.folder / "state.json")
