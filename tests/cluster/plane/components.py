"""The command line and configuration file of each component, given the folder of a cluster and its ports.

etcd <── kube-apiserver <── kube-controller-manager, kube-scheduler, JobSet, Kueue, KWOK (the fake nodes)
               └──> webhooks of JobSet, Kueue and the stand-in for GKE's
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.plane.build import component
from tests.cluster.plane.certificates import Pair

Object = dict[str, Any]

PORTS = (
    "apiserver",
    "etcd",
    "etcd-peers",
    "jobset",
    "jobset-health",
    "kueue",
    "kueue-health",
    "kueue-metrics",
    "kwok",
    "kubelet",
    "gke",
)
REPOSITORY = Path(__file__).parents[3]
STAGES = Path(__file__).parent / "stages"

KUEUE_NAMESPACE = "kueue-system"
KUEUE_SERVICE = "kueue-webhook-service"
KUEUE_SECRET = "kueue-webhook-server-cert"  # the name of a Secret
KUEUE_KINDS = ("Job.batch", "JobSet.jobset.x-k8s.io", "Workload.kueue.x-k8s.io")
"""Of which Kueue sees to several at a time: one by one, what it admits of a burst begins when the last is submitted."""


@dataclass(frozen=True)
class Site:
    """Where a cluster is: its folder, and the port of each part."""

    folder: Path
    ports: dict[str, int]

    @property
    def server(self) -> str:
        """Return the API server's address."""
        return f"https://127.0.0.1:{self.ports['apiserver']}"

    @property
    def kubeconfig(self) -> Path:
        """Return the file of whoever may do everything."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Return the file that has a line for each request of users other than the cluster's own."""
        return self.folder / "logs" / "audit.log"

    @property
    def pod_logs(self) -> Path:
        """Return the folder of what fake pods wrote."""
        return self.folder / "pod-logs"

    def pair(self, name: str) -> Pair:
        """Return a certificate and its key."""
        folder = self.folder / "certificates"
        return Pair(folder / f"{name}.crt", folder / f"{name}.key")

    def authority(self) -> str:
        """Return the file of what everybody trusts."""
        return str(self.folder / "certificates" / "ca.crt")

    def write(self, name: str, *documents: Object) -> str:
        """Write a configuration file; return its path."""
        path = self.folder / "configuration" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
        return str(path)


def etcd(site: Site) -> list[str]:
    """Return etcd's command line: it forgets at a power cut, and is fast."""
    clients, peers = (f"http://127.0.0.1:{site.ports[name]}" for name in ("etcd", "etcd-peers"))
    return _command(
        "etcd",
        name="test",
        data_dir=site.folder / "etcd",
        listen_client_urls=clients,
        advertise_client_urls=clients,
        listen_peer_urls=peers,
        initial_advertise_peer_urls=peers,
        initial_cluster=f"test={peers}",
        unsafe_no_fsync="true",
        quota_backend_bytes=str(4 * 2**30),
        log_level="warn",
    )


def apiserver(site: Site) -> list[str]:
    """Return the API server's: client certificates, RBAC, and GKE's tolerations for extended resources."""
    serving, tokens, kubelet = (site.pair(name) for name in ("apiserver", "tokens", "kubelet-client"))
    return _command(
        "kube-apiserver",
        etcd_servers=f"http://127.0.0.1:{site.ports['etcd']}",
        bind_address="127.0.0.1",
        advertise_address="127.0.0.1",
        secure_port=site.ports["apiserver"],
        endpoint_reconciler_type="none",
        client_ca_file=site.authority(),
        tls_cert_file=serving.certificate,
        tls_private_key_file=serving.key,
        service_account_issuer="https://kubernetes.default.svc",
        service_account_key_file=tokens.key,
        service_account_signing_key_file=tokens.key,
        service_cluster_ip_range="10.96.0.0/16",
        kubelet_certificate_authority=site.authority(),
        kubelet_client_certificate=kubelet.certificate,
        kubelet_client_key=kubelet.key,
        kubelet_preferred_address_types="InternalIP,Hostname",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="ExtendedResourceToleration",
        allow_privileged="true",
        profiling="false",
        audit_log_path=site.audit_log,
        audit_policy_file=site.write("audit.yaml", _audit_policy()),
    )


def controller_manager(site: Site) -> list[str]:
    """Return the controller manager's: nothing of clouds, and nodes are lost only when a test says so."""
    return _command(
        "kube-controller-manager",
        kubeconfig=site.kubeconfig,
        leader_elect="false",
        secure_port=0,
        controllers="*,-nodeipam,-route,-cloud-node-lifecycle,-service-lb-controller",
        service_account_private_key_file=site.pair("tokens").key,
        root_ca_file=site.authority(),
        node_monitor_grace_period="24h",
        node_monitor_period="1s",
        concurrent_job_syncs=20,
        kube_api_qps=500,
        kube_api_burst=1000,
    )


def scheduler(site: Site) -> list[str]:
    """Return the scheduler's: it tries pending pods again sooner than it would."""
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(site.kubeconfig), "qps": 500, "burst": 1000},
        "leaderElection": {"leaderElect": False},
        "podMaxBackoffSeconds": 2,
    }
    return _command("kube-scheduler", config=site.write("scheduler.yaml", configuration), secure_port=0)


def jobset(site: Site) -> list[str]:
    """Return the JobSet controller's, with webhooks."""
    configuration = {
        "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "webhook": _webhook(site, "jobset"),
        "metrics": {"bindAddress": "0"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{site.ports['jobset-health']}"},
        "clientConnection": {"qps": 500, "burst": 1000},
    }
    return _command("jobset", config=site.write("jobset.yaml", configuration), kubeconfig=site.kubeconfig)


def kueue(site: Site) -> list[str]:
    """Return Kueue's, with webhooks, for Jobs and JobSets.

    Without internal certificates it insists on files under /etc; with them it keeps those that it finds in its Secret.
    """
    configuration = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": KUEUE_NAMESPACE,
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {
            "enable": True,
            "webhookServiceName": KUEUE_SERVICE,
            "webhookSecretName": KUEUE_SECRET,
        },
        "webhook": _webhook(site, "kueue"),
        "metrics": {"bindAddress": f"127.0.0.1:{site.ports['kueue-metrics']}"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{site.ports['kueue-health']}"},
        "clientConnection": {"qps": 500, "burst": 1000},
        "controller": {"groupKindConcurrency": dict.fromkeys(KUEUE_KINDS, 5)},
        "featureGates": {"VisibilityOnDemand": False},
        "integrations": {"frameworks": ["batch/job", "jobset.x-k8s.io/jobset"]},
    }
    return _command("kueue", config=site.write("kueue.yaml", configuration), kubeconfig=site.kubeconfig)


def kwok(site: Site) -> list[str]:
    """Return KWOK's: the fake nodes, and the pods on them."""
    stages = [each for file in ("nodes", "pods") for each in _stages(f"{file}.yaml")]
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {"enableDebuggingHandlers": True, "podPlayStageParallelism": 16, "nodePlayStageParallelism": 8},
    }
    serving, port = site.pair("kwok"), site.ports["kwok"]
    return _command(
        "kwok",
        kubeconfig=site.kubeconfig,
        config=site.write("kwok.yaml", options, *stages),
        manage_nodes_with_annotation_selector="kwok.x-k8s.io/node=fake",
        node_ip="127.0.0.1",
        node_port=site.ports["kubelet"],
        server_address=f"127.0.0.1:{port}",
        tls_cert_file=serving.certificate,
        tls_private_key_file=serving.key,
        node_lease_duration_seconds=0,
        enable_crds="ClusterExec,Exec",
        cidr="10.128.0.1/12",
    )


def kubelet(site: Site) -> list[str]:
    """Return the command line of what the API server takes for every node's kubelet."""
    pair, ports = site.pair("kubelet"), (site.ports["kubelet"], site.ports["kwok"])
    files = (pair.certificate, pair.key, site.authority(), site.kubeconfig, site.pod_logs)
    return [sys.executable, "-m", "tests.cluster.plane.kubelet", *map(str, (*ports, *files))]


def gke(site: Site) -> list[str]:
    """Return the command line of the stand-in for GKE's webhook."""
    pair = site.pair("gke")
    program = [sys.executable, "-m", "tests.cluster.plane.gke"]
    return [*program, str(site.ports["gke"]), str(pair.certificate), str(pair.key), str(site.kubeconfig)]


COMMANDS: dict[str, Callable[[Site], list[str]]] = {
    "etcd": etcd,
    "kube-apiserver": apiserver,
    "kube-controller-manager": controller_manager,
    "kube-scheduler": scheduler,
    "gke": gke,
    "kubelet": kubelet,
    "jobset": jobset,
    "kueue": kueue,
    "kwok": kwok,
}
"""What runs, in the order in which it is started."""


def _command(name: str, /, **options: object) -> list[str]:
    return [str(component(name).binary), *(f"--{key.replace('_', '-')}={value}" for key, value in options.items())]


def _webhook(site: Site, name: str) -> Object:
    folder = site.folder / "certificates" / f"{name}-webhook"
    return {"host": "127.0.0.1", "port": site.ports[name], "certDir": str(folder)}


def _stages(file: str) -> list[Object]:
    return list(yaml.safe_load_all((STAGES / file).read_text(encoding="utf-8")))


def _audit_policy() -> Object:
    """Return what keeps the requests of a test's own users only."""
    quiet = [
        {"level": "None", "userGroups": ["system:masters", "system:nodes", "system:serviceaccounts"]},
        {"level": "None", "users": ["system:apiserver", "system:anonymous"]},
    ]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [*quiet, {"level": "Metadata"}],
    }
