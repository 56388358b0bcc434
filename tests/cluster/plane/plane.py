"""A Kubernetes control plane on this machine: real in every part but its nodes. Up in a quarter of a minute.

    <folder>/kubeconfig            of a user who may do everything
    <folder>/state.json            ports, and the processes by id and start time: written when it is up
    <folder>/logs/<component>.log
    <folder>/users/<user>          kubeconfigs of other users

Everything listens on 127.0.0.1, at ports that were free.
"""

import base64
import fcntl
import json
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import urllib3

from tests.cluster.plane import processes
from tests.cluster.plane.api import Api, ApiError, holds
from tests.cluster.plane.certificates import Authority
from tests.cluster.plane.components import (
    COMMANDS,
    KUEUE_NAMESPACE,
    KUEUE_SECRET,
    KUEUE_SERVICE,
    PORTS,
    REPOSITORY,
    Site,
)
from tests.cluster.plane.nodes import POOLS, Nodes
from tests.cluster.plane.pods import Pods
from tests.cluster.plane.processes import Process
from tests.cluster.plane.queues import Queues
from tests.cluster.plane.webhooks import configurations, definitions

Object = dict[str, Any]

ADMINS = "test:admins"
"""A group that may do everything, and whose requests are counted."""

PATIENCE = 120.0
"""Seconds in which a component is up; the machine may be busy."""

_never = threading.Event()


class Plane:
    """A control plane that runs, and what tests do with it."""

    def __init__(self, site: Site, running: Sequence[Process]) -> None:
        self.site = site
        self.processes = list(running)
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
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return cls(Site(folder, state["ports"]), [Process(**each) for each in state["processes"]])

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
        return [entry for entry in map(json.loads, lines) if entry["user"]["username"] == user]

    def stop_apiserver(self) -> None:
        """Kill the API server, as a machine that fails does."""
        process = self._process("kube-apiserver")
        processes.stop([process], patience=0)
        self.api.close()

    def start_apiserver(self) -> None:
        """Start the API server again, at the same port, and wait until it answers."""
        self.processes.remove(self._process("kube-apiserver"))
        self.processes.append(_start(self.site, "kube-apiserver"))
        _save(self.site, self.processes)
        _until_answers(self._process("kube-apiserver"), lambda: self.api.text("GET", "readyz"))

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
    authority = _certificates(site)
    running: list[Process] = []
    try:
        _start_all(site, authority, running)
    except BaseException:
        processes.stop(running)
        raise
    _save(site, running)
    return Plane.load(folder)


def down(folder: Path) -> bool:
    """Stop the control plane of a folder, and forget what it stored; say whether there was one."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    running = [Process(**each) for each in state["processes"]]
    processes.stop(running, patience=1)  # nothing that they would save is kept
    (folder / "state.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "etcd", ignore_errors=True)
    return True


def _start_all(site: Site, authority: Authority, running: list[Process]) -> None:
    def start(*names: str) -> None:
        for name in names:
            running.append(_start(site, name))

    start("etcd", "kube-apiserver")
    api = Api(site.kubeconfig)
    _until_answers(running[1], lambda: api.text("GET", "readyz"))
    start("kube-scheduler", "gke", "kubelet")
    _define(site, api, authority)
    start("kube-controller-manager", "jobset", "kueue", "kwok")  # the first collects garbage of kinds that it finds
    _furnish(api)
    http = urllib3.PoolManager(retries=False)
    for name in ("jobset", "kueue"):
        process = next(each for each in running if each.name == name)
        _until_answers(process, partial(_ready, http, site.ports[f"{name}-health"]))
    http.clear()
    queues = Queues(api)
    _until_answers(running[-2], queues.create_flavors)
    queues.create("default")
    for pool in POOLS:
        Nodes(api).until_ready(pool)
    for process in running:
        process.check()
    api.close()


def _certificates(site: Site) -> Authority:
    authority = Authority(site.folder / "certificates")
    authority.create()
    authority.sign("apiserver", "kube-apiserver", names=["127.0.0.1", "localhost", "kubernetes.default.svc"])
    authority.sign("kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"])
    authority.sign("tokens", "service-accounts")
    for server in ("kwok", "kubelet", "gke"):
        authority.sign(server, server, names=["127.0.0.1"])
    for name, service in (("jobset", "jobset"), ("kueue", f"{KUEUE_SERVICE}.{KUEUE_NAMESPACE}.svc")):
        pair = authority.sign(f"{name}-webhook", service, names=[service, "127.0.0.1"])
        folder = authority.folder / f"{name}-webhook"
        folder.mkdir()
        shutil.copy(pair.certificate, folder / "tls.crt")
        shutil.copy(pair.key, folder / "tls.key")
        shutil.copy(authority.certificate, folder / "ca.crt")
        shutil.copy(authority.folder / "ca.key", folder / "ca.key")
    authority.kubeconfig(site.kubeconfig, site.server, "admin", ["system:masters"])
    return authority


def _define(site: Site, api: Api, authority: Authority) -> None:
    """Create what controllers need before they start."""
    kinds = list(definitions(site.ports["kueue"], authority.bundle))
    for each in kinds:
        api.create(each)
    for each in kinds:
        api.until_one(lambda found: holds(found, "Established"), "CustomResourceDefinition", each["metadata"]["name"])
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KUEUE_NAMESPACE}})
    folder = authority.folder / "kueue-webhook"
    data = {path.name: base64.b64encode(path.read_bytes()).decode() for path in folder.iterdir()}
    metadata = {"name": KUEUE_SECRET, "namespace": KUEUE_NAMESPACE}
    api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    for each in configurations(site.ports["jobset"], site.ports["kueue"], site.ports["gke"], authority.bundle):
        api.create(each)


def _furnish(api: Api) -> None:
    """Create nodes, let commands in pods run on this machine, and make a group that may do everything."""
    for pool in POOLS:
        Nodes(api).create(pool)
    here = {"containers": [], "local": {"workDir": "/"}}
    commands = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterExec", "metadata": {"name": "here"}}
    api.create({**commands, "spec": {"execs": [here]}})
    api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ADMINS},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": ADMINS}],
        }
    )


def _start(site: Site, name: str) -> Process:
    log = site.folder / "logs" / f"{name}.log"
    environment = {"PYTHONPATH": str(REPOSITORY), "GOGC": "200"}  # memory for time: there is more of it
    return processes.start(name, COMMANDS[name](site), log, environment)


def _until_answers(process: Process, ask: Callable[[], object]) -> None:
    """Ask until there is an answer, or the process that should give it is gone.

    Raises:
        DiedError: it is gone.
        TimeoutError: there is none in time.
    """
    deadline = monotonic() + PATIENCE
    while True:
        try:
            ask()
        except (ApiError, urllib3.exceptions.HTTPError) as error:
            process.check()
            if monotonic() > deadline:
                raise TimeoutError(f"{process.name} does not answer after {PATIENCE:g} s: {error}") from error
            _never.wait(0.1)
        else:
            return


def _ready(http: urllib3.PoolManager, port: int) -> None:
    response = http.request("GET", f"http://127.0.0.1:{port}/readyz", timeout=5)
    if response.status != 200:
        raise ApiError(response.status, {"message": response.data.decode()})


def _save(site: Site, running: Sequence[Process]) -> None:
    state = {"ports": site.ports, "processes": [asdict(process) for process in running]}
    temporary = site.folder / ".state.json"
    temporary.write_text(json.dumps(state, indent=2), encoding="utf-8")
    temporary.rename(site.folder / "state.json")
