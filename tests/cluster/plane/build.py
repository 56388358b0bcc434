"""The binaries of the control plane: built once from the Go modules beside this, kept outside the repository.

    modules/<module>/go.mod                                   says every version, go.sum every checksum
    ~/.cache/mdctl/cluster/<component>-<version>/<component>  the binary, and its `manifests/` where it has any

A build goes to a temporary name and is renamed when whole, so what is there is complete. Cold, all of it takes eight
minutes on two cores; warm, nothing is run.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parents[1] / "modules"


class CannotBuildError(Exception):
    """The components cannot be had here; says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One program: the module it is in, its package, and the folders of manifests that belong to it."""

    name: str
    module: str
    package: str = ""  # below the module
    directory: str = "controlplane"
    manifests: tuple[str, ...] = ()
    program: bool = True
    tags: str = ""

    @property
    def version(self) -> str:
        """Return the version that go.mod pins."""
        text = (MODULES / self.directory / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"^\s*(?:require )?{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        assert found, f"{self.module} is not in {self.directory}/go.mod"
        return found[1]

    @property
    def folder(self) -> Path:
        """Return where it is kept."""
        return cache() / f"{self.name}-{self.version.removeprefix('v')}"

    @property
    def binary(self) -> Path:
        """Return the program."""
        return self.folder / self.name


def _kubernetes(name: str) -> Component:
    return Component(name=name, module="k8s.io/kubernetes", package=f"/cmd/{name}")


CONTROL_PLANE = (
    Component(name="etcd", module="go.etcd.io/etcd/server/v3"),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Component(
        name="jobset",
        module="sigs.k8s.io/jobset",
        manifests=("config/components/crd/bases", "config/components/webhook"),
    ),
    Component(
        name="kueue",
        module="sigs.k8s.io/kueue",
        package="/cmd/kueue",
        manifests=("config/components/crd/bases", "config/components/webhook"),
    ),
    Component(
        name="kwok",
        module="sigs.k8s.io/kwok",
        package="/cmd/kwok",
        manifests=("kustomize/crd/bases",),
    ),
    Component(
        name="old-jobset",
        module="sigs.k8s.io/jobset",
        directory="jobset-0.10",
        manifests=("config/components/crd/bases",),
        program=False,
    ),
)
"""What `make cluster` runs; of the JobSet of clusters made by xpk only what it accepts."""


def cache() -> Path:
    """Return the folder of everything that was built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mdctl" / "cluster"


def component(name: str) -> Component:
    """Return the component of the control plane that is called so."""
    return next(each for each in CONTROL_PLANE if each.name == name)


def unavailable(components: Sequence[Component] = CONTROL_PLANE) -> str | None:
    """Say why components can neither be found nor built here; None where they can."""
    missing = [f"{each.name} {each.version}" for each in components if not each.folder.exists()]
    if sys.platform != "linux":
        return f"the test cluster runs on Linux, and this is {sys.platform}"
    if missing and shutil.which("go") is None:
        return f"the test cluster needs Go to build {', '.join(missing)}: install Go 1.26 or later"
    return None


def build(components: Sequence[Component] = CONTROL_PLANE) -> None:
    """Build what is not there yet.

    Raises:
        CannotBuildError: Go is not installed, or a build fails.
    """
    if reason := unavailable(components):
        raise CannotBuildError(reason)
    if all(each.folder.exists() for each in components):
        return
    with _only_one():
        for each in components:
            if not each.folder.exists():
                print(f"building {each.name} {each.version}", flush=True)
                _build(each)


def _build(each: Component) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f".{each.name}-", dir=cache()))
    try:
        if each.program:
            version = f"-X k8s.io/component-base/version.gitVersion={each.version}"
            target = ["-o", str(temporary / each.name), f"{each.module}{each.package}"]
            _go(each, "build", "-trimpath", "-tags", each.tags, "-ldflags", f"-s -w {version}", *target)
        if each.manifests:
            source = Path(json.loads(_go(each, "mod", "download", "-json", each.module))["Dir"])
            for part in each.manifests:
                shutil.copytree(source / part, temporary / "manifests" / part, copy_function=shutil.copyfile)
        for folder in filter(Path.is_dir, temporary.rglob("*")):
            folder.chmod(0o755)  # the module cache is read-only
        temporary.chmod(0o755)
        temporary.rename(each.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _go(each: Component, *arguments: str) -> str:
    """Run Go in the component's module, with the versions of its go.mod and no other."""
    run = subprocess.run(
        ["go", *arguments],
        cwd=MODULES / each.directory,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOWORK": "off"},
    )
    if run.returncode:
        last = "\n".join(run.stderr.splitlines()[-12:])
        raise CannotBuildError(f"go {arguments[0]} of {each.name} {each.version} failed:\n{last}")
    return run.stdout


@contextmanager
def _only_one() -> Iterator[None]:
    """Let one process build at a time: others wait, and find it done."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
