"""Start, stop or look at the cluster with real nodes.

python -m tests.real up [--dir DIR]      build if needed, start; print the kubeconfig
python -m tests.real down [--dir DIR]
python -m tests.real status [--dir DIR]
"""

import argparse
import sys
from pathlib import Path
from time import monotonic

from tests.cluster.plane.__main__ import default_folder
from tests.cluster.plane.build import CannotBuildError
from tests.cluster.plane.processes import DiedError
from tests.real.cluster import RealCluster, check_user, down, up

DEFAULT = default_folder().with_name("cluster-real")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.real")
    parser.add_argument("verb", choices=["up", "down", "status"])
    parser.add_argument("--dir", type=Path, default=DEFAULT, help="the cluster's folder (%(default)s)")
    arguments = parser.parse_args()
    folder = arguments.dir.absolute()
    try:
        check_user()
        return {"up": _up, "down": _down, "status": _status}[arguments.verb](folder)
    except (CannotBuildError, DiedError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _up(folder: Path) -> int:
    begun = monotonic()
    cluster = up(folder)
    print(f"up in {monotonic() - begun:.1f} s; export KUBECONFIG={cluster.plane.kubeconfig}")
    return 0


def _down(folder: Path) -> int:
    print("stopped" if down(folder) else f"no cluster in {folder}")
    return 0


def _status(folder: Path) -> int:
    try:
        cluster = RealCluster(folder)
    except FileNotFoundError:
        print(f"no cluster in {folder}; start one with `make cluster-real`")
        return 1
    for process in [*cluster.plane.processes, *cluster.processes]:
        print(f"{process.name:24} {process.pid:>8} {'runs' if process.alive else 'ENDED: ' + process.log}")
    return 0 if cluster.alive else 1


if __name__ == "__main__":
    sys.exit(main())
