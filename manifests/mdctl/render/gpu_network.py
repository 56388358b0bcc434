"""How GPUs of several machines talk on GKE: network interfaces, NCCL's plugin and its settings, for each machine type.

    a3-high              GPUDirect-TCPX    4 interfaces (vpc1-4)     a daemon beside the worker receives for the GPUs
    a3-mega              GPUDirect-TCPXO   8 interfaces (vpc1-8)     likewise
    a3-ultra, a4         RDMA over RoCE    8 interfaces (rdma-0-7)   the worker alone

A daemon is a native sidecar (an init container that is always restarted), or the Job would wait for it forever; it has
the GPU devices by an annotation and network capabilities instead of privileges. Its socket and memory belong to root,
so the worker beside one is root too, without any capability. The cluster's Network objects have the names above, as the
GKE guides, Cluster Toolkit and xpk make them. On one machine NVLink does it all and none of this is rendered.

Sources: docs.cloud.google.com/kubernetes-engine/docs/how-to/gpu-bandwidth-gpudirect-tcpx (TCPX and TCPXO),
docs.cloud.google.com/ai-hypercomputer/docs/create/gke-ai-hypercompute-custom (RDMA), and the release notes in
github.com/GoogleCloudPlatform/container-engine-accelerators, gpudirect-tcpxo.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from mdctl.spec.accelerators import GPUS
from mdctl.spec.slices import Slice
from mdctl.spec.yaml_text import dump

Object = dict[str, Any]

DRIVER = "/usr/local/nvidia"
TCPX_DAEMON = "us-docker.pkg.dev/gce-ai-infra/gpudirect-tcpx/tcpgpudmarxd-dev:v2.0.12"
TCPXO_DAEMON = "us-docker.pkg.dev/gce-ai-infra/gpudirect-tcpxo/tcpgpudmarxd-dev:v1.0.21"

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class GpuNetwork:
    """What a network adds to the pod."""

    annotations: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    sidecars: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()
    as_root: bool = False


NO_NETWORK = GpuNetwork()


def gpu_network(slice_: Slice) -> GpuNetwork:
    """Return the network that joins machines of a slice's type; those without talk over the host's own."""
    machine = next(machine for machine in GPUS if machine.name == slice_.machine_type)
    if machine.network is None:
        return NO_NETWORK
    if machine.network == "tcpx":
        return _tcpx()
    return _tcpxo() if machine.network == "tcpxo" else _rdma(tuner="a3u" if machine.family == "a3-ultra" else "a4")


def _tcpx() -> GpuNetwork:
    networks = [f"vpc{n}" for n in range(1, 5)]
    data = _interfaces(networks)
    return GpuNetwork(
        annotations={
            **_network_annotations(networks),
            "devices.gke.io/container.tcpx-daemon": _devices(),
        },
        environment={
            **_nccl_over_tcp(buffer=4 * _MIB),
            "NCCL_ALGO": "Ring",
            "NCCL_MAX_NCHANNELS": "12",
            "NCCL_MIN_NCHANNELS": "12",
            "NCCL_NSOCKS_PERTHREAD": "4",
            "NCCL_SOCKET_NTHREADS": "1",
            "NCCL_P2P_PXN_LEVEL": "0",
            "NCCL_GPUDIRECTTCPX_CTRL_DEV": "eth0",
            "NCCL_GPUDIRECTTCPX_SOCKET_IFNAME": ",".join(data),
            "NCCL_GPUDIRECTTCPX_UNIX_CLIENT_PREFIX": "/run/tcpx",
            "NCCL_GPUDIRECTTCPX_FORCE_ACK": "0",
            "NCCL_GPUDIRECTTCPX_PROGRAM_FLOW_STEERING_WAIT_MICROS": "500000",
            "NCCL_GPUDIRECTTCPX_TX_BINDINGS": _bindings(data, ("8-21,112-125", "60-73,164-177")),
            "NCCL_GPUDIRECTTCPX_RX_BINDINGS": _bindings(data, ("22-35,126-139", "74-87,178-191")),
        },
        sidecars=(
            _daemon(
                "tcpx-daemon",
                TCPX_DAEMON,
                [
                    "/tcpgpudmarxd/build/app/tcpgpudmarxd",
                    *("--gpu_nic_preset", "a3vm"),
                    *("--gpu_shmem_type", "fd"),
                    *("--uds_path", "/run/tcpx"),
                    *("--setup_param", '"--verbose 128 2 0 "'),
                ],
                capabilities=["NET_ADMIN"],
                mounts=[{"name": "tcpx-socket", "mountPath": "/run/tcpx"}],
            ),
        ),
        mounts=({"name": "tcpx-socket", "mountPath": "/run/tcpx"},),
        volumes=(*_daemon_volumes(), {"name": "tcpx-socket", "emptyDir": {}}),
        as_root=True,
    )


def _tcpxo() -> GpuNetwork:
    networks = [f"vpc{n}" for n in range(1, 9)]
    return GpuNetwork(
        annotations={
            **_network_annotations(networks),
            "devices.gke.io/container.tcpxo-daemon": _devices("/dev/dmabuf_import_helper"),
        },
        environment={
            **_nccl_over_tcp(buffer=8 * _MIB),
            "NCCL_ALGO": "Ring,Tree",
            "NCCL_MIN_NCHANNELS": "4",
            "NCCL_NVLS_ENABLE": "0",
            "NCCL_TUNER_PLUGIN": "libnccl-tuner.so",
            "NCCL_TUNER_CONFIG_PATH": f"{DRIVER}/lib64/a3plus_tuner_config.textproto",
            "NCCL_SHIMNET_GUEST_CONFIG_CHECKER_CONFIG_FILE": f"{DRIVER}/lib64/a3plus_guest_config.textproto",
            "NCCL_FASTRAK_CTRL_DEV": "eth0",
            "NCCL_FASTRAK_IFNAME": ",".join(_interfaces(networks)),
            "NCCL_FASTRAK_LLCM_DEVICE_DIRECTORY": "/dev/aperture_devices",
            "NCCL_FASTRAK_USE_LLCM": "1",
            "NCCL_FASTRAK_USE_SNAP": "1",
            "NCCL_FASTRAK_NUM_FLOWS": "2",
            "NCCL_FASTRAK_ENABLE_CONTROL_CHANNEL": "0",
            "NCCL_FASTRAK_ENABLE_HOTPATH_LOGGING": "0",
            "NCCL_FASTRAK_PLUGIN_ACCEPT_TIMEOUT_MS": "600000",
        },
        sidecars=(
            _daemon(
                "tcpxo-daemon",
                TCPXO_DAEMON,
                [
                    *("/bin/sh", "/fts/entrypoint_rxdm_container.sh"),
                    *("--num_hops=2", "--num_nics=8", "--uid=", "--alsologtostderr"),
                ],
                capabilities=["NET_ADMIN", "NET_BIND_SERVICE"],
                mounts=[],
            ),
        ),
        mounts=({"name": "aperture-devices", "mountPath": "/dev/aperture_devices"},),
        volumes=(*_daemon_volumes(), _host_path("aperture-devices", "/dev/aperture_devices")),
        as_root=True,
    )


def _rdma(tuner: str) -> GpuNetwork:
    return GpuNetwork(
        annotations=_network_annotations(["gvnic-1", *(f"rdma-{n}" for n in range(8))]),
        environment={
            "LD_LIBRARY_PATH": f"{DRIVER}/lib64:/usr/local/gib/lib64",
            "NCCL_NET": "gIB",
            "NCCL_SOCKET_IFNAME": "eth0",
            "NCCL_CROSS_NIC": "0",
            "NCCL_NET_GDR_LEVEL": "PIX",
            "NCCL_P2P_NET_CHUNKSIZE": "131072",
            "NCCL_NVLS_CHUNKSIZE": "524288",
            "NCCL_IB_ADAPTIVE_ROUTING": "1",
            "NCCL_IB_QPS_PER_CONNECTION": "4",
            "NCCL_IB_TC": "52",
            "NCCL_IB_FIFO_TC": "84",
            "NCCL_TUNER_CONFIG_PATH": f"/usr/local/gib/configs/tuner_config_{tuner}.txtpb",
        },
        mounts=({"name": "gib", "mountPath": "/usr/local/gib", "readOnly": True},),
        volumes=(_host_path("gib", "/home/kubernetes/bin/gib"),),
    )


def _nccl_over_tcp(buffer: int) -> dict[str, str]:
    """Return what TCPX and TCPXO have in common."""
    return {
        "NCCL_SOCKET_IFNAME": "eth0",
        "NCCL_CROSS_NIC": "0",
        "NCCL_PROTO": "Simple",
        "NCCL_NET_GDR_LEVEL": "PIX",
        "NCCL_BUFFSIZE": str(buffer),
        "NCCL_DYNAMIC_CHUNK_SIZE": str(_MIB // 2),
        "NCCL_P2P_NET_CHUNKSIZE": str(_MIB // 2),
        "NCCL_P2P_PCI_CHUNKSIZE": str(_MIB // 2),
        "NCCL_P2P_NVL_CHUNKSIZE": str(_MIB),
    }


def _interfaces(networks: list[str]) -> list[str]:
    return [f"eth{n}" for n, _ in enumerate(networks, start=1)]


def _network_annotations(networks: list[str]) -> dict[str, str]:
    pairs = [("eth0", "default"), *zip(_interfaces(networks), networks, strict=True)]
    interfaces = [{"interfaceName": interface, "network": network} for interface, network in pairs]
    return {
        "networking.gke.io/default-interface": "eth0",
        "networking.gke.io/interfaces": json.dumps(interfaces),
    }


def _devices(*more: str) -> str:
    devices = [*(f"/dev/nvidia{n}" for n in range(8)), "/dev/nvidiactl", "/dev/nvidia-uvm", *more]
    return dump([{"path": device} for device in devices])


def _bindings(interfaces: list[str], cores: tuple[str, str]) -> str:
    """Bind each interface to cores of its own socket: the first half to one, the second to the other."""
    half = len(interfaces) // 2
    return ";".join(f"{interface}:{cores[index // half]}" for index, interface in enumerate(interfaces))


def _daemon(name: str, image: str, command: list[str], *, capabilities: list[str], mounts: list[Object]) -> Object:
    return {
        "name": name,
        "image": image,
        "restartPolicy": "Always",
        "command": command,
        "env": [{"name": "LD_LIBRARY_PATH", "value": f"{DRIVER}/lib64"}],
        "securityContext": {"capabilities": {"add": capabilities}},
        "volumeMounts": [
            {"name": "driver", "mountPath": DRIVER, "readOnly": True},
            {"name": "sys", "mountPath": "/hostsysfs"},
            {"name": "proc-sys", "mountPath": "/hostprocsysfs"},
            *mounts,
        ],
    }


def _daemon_volumes() -> list[Object]:
    return [
        _host_path("driver", "/home/kubernetes/bin/nvidia"),
        _host_path("sys", "/sys"),
        _host_path("proc-sys", "/proc/sys"),
    ]


def _host_path(name: str, path: str) -> Object:
    return {"name": name, "hostPath": {"path": path}}
