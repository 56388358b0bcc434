"""Start, stop or look at the test cluster.

python -m tests.cluster.plane up [--dir DIR] [--owner PID]     build if needed, start; print the kubeconfig.
                                                               It ends with the process PID, where one is named
python -m tests.cluster.plane down [--dir DIR]
python -m tests.cluster.plane status [--dir DIR]
"""

import argparse
import os
import select
import sys
from pathlib import Path
from time import monotonic

from tests.cluster.plane.build import CannotBuildError, build
from tests.cluster.plane.components import REPOSITORY
from tests.cluster.plane.plane import Plane, down, up
from tests.cluster.plane.processes import DiedError, start


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.plane")
    parser.add_argument("verb", choices=["up", "down", "status", "watch"])
    parser.add_argument("--dir", type=Path, default=default_folder(), help="the cluster's folder (%(default)s)")
    parser.add_argument("--owner", type=int, help="with up: a process; the cluster ends when it does")
    arguments = parser.parse_args()
    folder = arguments.dir.absolute()
    try:
        match arguments.verb:
            case "up":
                return _up(folder, arguments.owner)
            case "watch":
                return _watch(folder, arguments.owner)
            case "down":
                return _down(folder)
            case _:
                return _status(folder)
    except (CannotBuildError, DiedError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def default_folder() -> Path:
    """Return the folder of the one cluster that a person has."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "mdctl" / "cluster"


def _up(folder: Path, owner: int | None) -> int:
    build()
    if _alive(folder):
        print(f"it is up already; export KUBECONFIG={folder / 'kubeconfig'}")
        return 0
    down(folder)
    begun = monotonic()
    plane = up(folder)
    print(f"up in {monotonic() - begun:.1f} s; export KUBECONFIG={plane.kubeconfig}")
    if owner is not None:
        command = [sys.executable, "-m", "tests.cluster.plane", "watch", f"--dir={folder}", f"--owner={owner}"]
        start("watch", command, folder / "logs" / "watch.log", {"PYTHONPATH": str(REPOSITORY)})
    return 0


def _watch(folder: Path, owner: int) -> int:
    """Wait for a process to end, however it does, then stop the cluster."""
    try:
        handle = os.pidfd_open(owner)
    except ProcessLookupError:
        return _down(folder)
    ended = select.poll()
    ended.register(handle, select.POLLIN)
    ended.poll()
    return _down(folder)


def _down(folder: Path) -> int:
    print("stopped" if down(folder) else f"no cluster in {folder}")
    return 0


def _status(folder: Path) -> int:
    try:
        plane = Plane.load(folder)
    except FileNotFoundError:
        print(f"no cluster in {folder}; start one with `make cluster`")
        return 1
    for process in plane.processes:
        print(f"{process.name:24} {process.pid:>8} {'runs' if process.alive else 'ENDED: ' + process.log}")
    return 0 if all(process.alive for process in plane.processes) else 1


def _alive(folder: Path) -> bool:
    try:
        return all(process.alive for process in Plane.load(folder).processes)
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
