"""Waiting for a job that makes videos or images, and bringing them here."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mdctl.cli import output
from mdctl.results.kinds import Kind
from mdctl.spec.job import DiffusionJob
from mdctl.spec.outputs import LOCAL_OUTPUTS

if TYPE_CHECKING:
    from mdctl.cluster.client import Cluster


def fetch_results(job: DiffusionJob, cluster: "Cluster | None", *, show: bool) -> int:
    """Wait for a job on a cluster, copy what it made to a folder here and print where; return the code to leave with.

    A job that ran here (None) has left it here. With `show` the first of it is opened.
    """
    from mdctl.cluster.goals import Goal
    from mdctl.results.artifacts import find_artifacts
    from mdctl.results.opening import open_store

    assert job.spec.output_dir is not None
    folder = Path(job.spec.output_dir)
    if cluster is not None:
        from mdctl.cluster.waiting import wait_for

        code = wait_for(cluster, job.metadata.name, Goal.COMPLETED, say=output.note)
        if code:
            return code
        folder = Path(LOCAL_OUTPUTS, job.metadata.name)
        _copy(job.spec.output_dir, folder)
    made = find_artifacts(open_store(str(folder)), (Kind.VIDEO, Kind.IMAGE))
    for each in made:
        output.text(str(folder / each.name))
    if show and made:
        _open(folder / made[0].name)
    return 0


def _copy(directory: str, folder: Path) -> None:
    """Copy videos and images, and what says how they were made."""
    from mdctl.cli.bar import bytes_bar
    from mdctl.results.artifacts import find_artifacts, job_record
    from mdctl.results.copying import copy
    from mdctl.results.opening import open_store

    store = open_store(directory)
    made = find_artifacts(store, (Kind.VIDEO, Kind.IMAGE, Kind.METRICS))
    record = job_record(store)
    found = [*(each for each in made if not each.damage), *([record] if record else [])]
    with bytes_bar(f"copying to {folder}", sum(each.size for each in found)) as advance:
        copy(found, folder, advance)


def _open(path: Path) -> None:
    """Show a file with whatever the desktop shows such files with."""
    opener = {"darwin": "open", "win32": "explorer"}.get(sys.platform, "xdg-open")
    try:
        shown = subprocess.run([opener, str(path)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        shown = None
    if shown is None or shown.returncode:
        output.warning(f"{path} is there, but this computer has nothing that opens it")
