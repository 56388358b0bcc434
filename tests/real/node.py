"""A real node: a kubelet and a containerd of its own, on an address of its own on the bridge."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.plane import processes
from tests.cluster.plane.certificates import Authority
from tests.cluster.plane.components import Object
from tests.cluster.plane.processes import Process
from tests.real import network, store
from tests.real.containerd import Containerd
from tests.real.dns import DOMAIN
from tests.real.parts import KUBELET
from tests.real.unmounting import unmount_below


@dataclass(frozen=True)
class Node:
    """One node by its name and number, and the folder of its files."""

    name: str
    index: int
    folder: Path
    server: str

    @property
    def containerd(self) -> Containerd:
        """Return its containerd."""
        return Containerd(self.folder / "containerd", Path("/run") / f"mdctl-{self.index}")

    def prepare(self, authority: Authority, images: Path) -> None:
        """Write its files; `images` is the root of a containerd that has what its pods run."""
        containerd = self.containerd
        containerd.folder.mkdir(parents=True)
        store.copy(images, containerd.root)
        network.write_configuration(containerd.network, self.index, self.folder / "addresses")
        authority.sign(f"node-{self.index}", self.name, names=[network.node_address(self.index), self.name])
        authority.kubeconfig(self.folder / "kubeconfig", self.server, f"system:node:{self.name}", ["system:nodes"])
        configuration = self._configuration(authority)
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")

    def start(self, logs: Path) -> list[Process]:
        """Start both of its programs."""
        names = [f"{program}-{self.index}" for program in ("containerd", "kubelet")]
        runtime = self.containerd.start(names[0], logs / f"{names[0]}.log")
        return [runtime, processes.start(names[1], self._kubelet(), logs / f"{names[1]}.log")]

    def remove(self) -> None:
        """Forget its files; what is still mounted goes first."""
        state = self.containerd.state
        unmount_below(self.folder, state)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)

    def _kubelet(self) -> list[str]:
        options = {
            "config": self.folder / "kubelet.yaml",
            "kubeconfig": self.folder / "kubeconfig",
            "root-dir": self.folder / "kubelet",
            "cert-dir": self.folder / "certificates",
            "hostname-override": self.name,
            "node-ip": network.node_address(self.index),
        }
        return [str(KUBELET.binary), *(f"--{name}={value}" for name, value in options.items())]

    def _configuration(self, authority: Authority) -> Object:
        """Return the kubelet's configuration: several share the machine, so none rules its cgroups or evicts by it."""
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network.node_address(self.index),
            "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(authority.folder / f"node-{self.index}.crt"),
            "tlsPrivateKeyFile": str(authority.folder / f"node-{self.index}.key"),
            "containerRuntimeEndpoint": f"unix://{self.containerd.socket}",
            "podLogsDir": str(self.folder / "pod-logs"),
            "clusterDNS": [network.HOST],
            "clusterDomain": DOMAIN,
            "resolvConf": "",
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"memory.available": "100Mi"},
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": False,
            "maxPods": 20,
        }
