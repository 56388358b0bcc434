"""Our images, built by buildah from the Dockerfile: on a base that is named, or on one that debootstrap makes here.

python -m tests.real.image [--target workload-tpu] [--base IMAGE] [--tag NAME] [--no-cache]     prints name and layers

pip in the build uses what it is configured with here: its settings and the authority's certificate are secrets of the
build, so no layer has them.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mdctl.spec.version import VERSION
from tests.cluster.plane.build import CannotBuildError
from tests.cluster.plane.components import REPOSITORY, Object

SUITE = "trixie"
BASE = f"localhost/mdctl-base:{SUITE}"
PAUSE = "localhost/mdctl-pause:1"
TAGS = {"cli-operator": "cli", "workload-tpu": "tpu", "workload-gpu": "gpu"}

EPOCH = "1580601600"
"""The time of every file in every layer: two builds give the same."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

UNNEEDED = ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*", "usr/share/doc/*", "usr/share/man/*")
CERTIFICATE = "/run/secrets/ca.crt"
SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
"""Of pip's, those that a build takes over."""


def build(target: str, base: str | None = None, tag: str | None = None, *, cached: bool = True) -> str:
    """Build a target of the Dockerfile where its sources changed; return the image's name.

    Raises:
        CannotBuildError: says the last lines of the build.
    """
    name = tag or f"localhost/mdctl:{VERSION}-{TAGS[target]}"
    base = base or make_base()
    options = [f"--target={target}", f"--tag={name}", f"--build-arg=BASE_IMAGE={base}", f"--timestamp={EPOCH}"]
    with _secrets() as secrets:
        _buildah(
            "build", "--isolation=chroot", "--layers", *([] if cached else ["--no-cache"]), *secrets, *options, "."
        )
    return name


def make_base() -> str:
    """Make the base where it is not there: Debian with its own Python, by debootstrap; return its name."""
    if not _there(BASE):
        with tempfile.TemporaryDirectory(prefix="mdctl-base-", dir="/var/tmp") as folder:
            root = Path(folder) / "root"
            packages = "--include=python3,python3-venv,ca-certificates"
            _run("debootstrap", "--variant=minbase", packages, SUITE, str(root))
            for pattern in UNNEEDED:
                for path in root.glob(pattern):
                    _run("rm", "-rf", str(path))
            layer = f"{folder}/root.tar"
            _run("tar", "--sort=name", "--numeric-owner", "--exclude=./dev/*", "-C", str(root), "-cf", layer, ".")
            _commit("scratch", BASE, add=layer)
    return BASE


def make_pause() -> str:
    """Make the image that holds a pod's namespaces, from the base; return its name."""
    if not _there(PAUSE):
        _commit(make_base(), PAUSE, entrypoint=["/usr/bin/sleep", "infinity"])
    return PAUSE


def identity(name: str) -> str:
    """Return what changes with every byte of an image."""
    return str(_inspect(name)["FromImageID"])


def layers(name: str) -> list[str]:
    """Return the digests of an image's layers, the base's first."""
    return list(_inspect(name)["OCIv1"]["rootfs"]["diff_ids"])


def export(name: str, known_as: str, archive: Path) -> None:
    """Write an image as an archive that containerd imports under another name."""
    _buildah("push", "--quiet", "--disable-compression", name, f"oci-archive:{archive}:{known_as}")


@contextmanager
def _secrets() -> Iterator[list[str]]:
    """Yield the options that hand pip's settings to the build."""
    settings = _settings()
    certificate = settings.pop("cert", os.environ.get("SSL_CERT_FILE"))
    lines = [f"{name} = {value}" for name, value in settings.items() if name in SETTINGS]
    with tempfile.TemporaryDirectory(prefix="mdctl-secrets-") as folder:
        options = []
        if certificate and Path(certificate).is_file():
            options.append(f"--secret=id=ca.crt,src={certificate}")
            lines.append(f"cert = {CERTIFICATE}")
        file = Path(folder) / "pip.conf"
        file.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
        yield [*options, f"--secret=id=pip.conf,src={file}"]


def _settings() -> dict[str, str]:
    """Return pip's settings on this machine, whichever file or variable they are in; a variable's wins."""
    lines = _run(sys.executable, "-m", "pip", "config", "list").splitlines()
    pairs = [line.partition("=")[::2] for line in lines if line.startswith(("global.", ":env:."))]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    found = {key.partition(".")[2]: str(ast.literal_eval(value)) for key, value in pairs}
    return {"timeout" if key == "default-timeout" else key: value for key, value in found.items()}


def _inspect(name: str) -> Object:
    found: Object = json.loads(_buildah("inspect", "--type=image", name))
    return found


def _there(name: str) -> bool:
    return bool(_buildah("images", "--quiet", "--filter", f"reference={name}"))


def _commit(base: str, name: str, add: str | None = None, entrypoint: Sequence[str] | None = None) -> None:
    container = _buildah("from", base).strip()
    try:
        if add:
            _buildah("add", "--quiet", container, add, "/")
            _buildah("config", f"--env=PATH={PATH}", container)
        if entrypoint:
            _buildah("config", f"--entrypoint={json.dumps(entrypoint)}", container)
        _buildah("commit", "--quiet", f"--timestamp={EPOCH}", container, name)
    finally:
        _buildah("rm", container)


def _buildah(*arguments: str) -> str:
    return _run("buildah", *arguments)


def _run(*command: str) -> str:
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if run.returncode:
        last = "\n".join((run.stdout + run.stderr).splitlines()[-15:])
        raise CannotBuildError(f"{command[0]} {command[1]} failed:\n{last}")
    return run.stdout


def main() -> int:
    """Build what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.image")
    parser.add_argument("--target", choices=list(TAGS), default="workload-tpu")
    parser.add_argument("--base", help="the image that ours is built on; Debian's own, made here, unless given")
    parser.add_argument("--tag", help="the image's name")
    parser.add_argument("--no-cache", action="store_true", help="build every layer anew")
    arguments = parser.parse_args()
    try:
        name = build(arguments.target, arguments.base, arguments.tag, cached=not arguments.no_cache)
    except CannotBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(name, *layers(name), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
