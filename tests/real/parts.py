"""What real nodes are made of: programs built from Go modules like the control plane's, and Debian's plugins."""

import shutil
from pathlib import Path

from tests.cluster.plane.build import CannotBuildError, Component

_CONTAINERD = "github.com/containerd/containerd/v2"

RUNC = Component(name="runc", module="github.com/opencontainers/runc", directory="runc", tags="seccomp")
CONTAINERD = Component(name="containerd", module=_CONTAINERD, package="/cmd/containerd", directory="containerd")
SHIM = Component(
    name="containerd-shim-runc-v2",
    module=_CONTAINERD,
    package="/cmd/containerd-shim-runc-v2",
    directory="containerd",
)
CTR = Component(name="ctr", module=_CONTAINERD, package="/cmd/ctr", directory="containerd")
COREDNS = Component(name="coredns", module="github.com/coredns/coredns", directory="coredns")
KUBELET = Component(name="kubelet", module="k8s.io/kubernetes", package="/cmd/kubelet")

KUBECTL = Component(name="kubectl", module="k8s.io/kubernetes", package="/cmd/kubectl", directory="kubectl")

PARTS = (KUBELET, CONTAINERD, SHIM, CTR, RUNC, COREDNS, KUBECTL)

PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where distributions put network plugins."""

PACKAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "pkg-config": "pkg-config libseccomp-dev",
}
"""Programs, and Debian's packages that have them."""


def check_machine() -> None:
    """Look for what is not built here.

    Raises:
        CannotBuildError: lists the packages to install.
    """
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not any((folder / "bridge").exists() for folder in PLUGINS):
        missing.append("containernetworking-plugins")
    if missing:
        raise CannotBuildError(f"real nodes need more of this machine: apt-get install {' '.join(missing)}")


def plugins() -> Path:
    """Return the folder of the network plugins."""
    return next(folder for folder in PLUGINS if (folder / "bridge").exists())
