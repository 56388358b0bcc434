"""From nothing to a control plane that works: certificates, components in order, and what they need from each other."""

import base64
import shutil
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic

import urllib3

from tests.cluster.plane import processes
from tests.cluster.plane.api import Api, ApiError, holds
from tests.cluster.plane.certificates import Authority
from tests.cluster.plane.components import (
    COMMANDS,
    KUEUE_NAMESPACE,
    KUEUE_SECRET,
    KUEUE_SERVICE,
    REPOSITORY,
    Site,
)
from tests.cluster.plane.nodes import POOLS, Nodes
from tests.cluster.plane.processes import Process
from tests.cluster.plane.queues import Queues
from tests.cluster.plane.webhooks import configurations, definitions

ADMINS = "test:admins"
"""A group that may do everything, and whose requests are counted."""

PATIENCE = 120.0
"""Seconds in which a component is up; the machine may be busy."""

_never = threading.Event()


def start_all(site: Site, running: list[Process]) -> None:
    """Start everything, and wait until it works; what is started so far is in `running` even if this fails.

    Raises:
        DiedError: a component ended; says its last lines.
    """
    authority = _certificates(site)

    def start(*names: str) -> None:
        for name in names:
            running.append(launch(site, name))

    start("etcd", "kube-apiserver")
    api = Api(site.kubeconfig)
    until_answers(running[1], lambda: api.text("GET", "readyz"))
    start("kube-scheduler", "gke", "kubelet")
    _define(site, api, authority)
    start("kube-controller-manager", "jobset", "kueue", "kwok")  # the first collects garbage of kinds that it finds
    _furnish(api)
    http = urllib3.PoolManager(retries=False)
    called = {process.name: process for process in running}
    for name in ("jobset", "kueue"):
        until_answers(called[name], partial(_ready, http, site.ports[f"{name}-health"]))
    http.clear()
    queues = Queues(api)
    until_answers(called["kueue"], queues.create_flavors)
    queues.create("default")
    for pool in POOLS:
        Nodes(api).until_ready(pool)
    for process in running:
        process.check()
    api.close()


def launch(site: Site, name: str) -> Process:
    """Start one component."""
    log = site.folder / "logs" / f"{name}.log"
    environment = {"PYTHONPATH": str(REPOSITORY), "GOGC": "200"}  # memory for time: there is more of it
    return processes.start(name, COMMANDS[name](site), log, environment)


def until_answers(process: Process, ask: Callable[[], object]) -> None:
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


def _ready(http: urllib3.PoolManager, port: int) -> None:
    response = http.request("GET", f"http://127.0.0.1:{port}/readyz", timeout=5)
    if response.status != 200:
        raise ApiError(response.status, {"message": response.data.decode()})
