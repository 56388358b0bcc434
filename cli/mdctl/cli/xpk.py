"""xpk, where it is there: found on PATH or where `make xpk` puts it, and only ever run, never imported."""

import shlex
import shutil
import subprocess
from pathlib import Path

from mdctl.cli import output
from mdctl.cli.options import Via
from mdctl.cli.request import Request
from mdctl.spec.errors import SpecError, UserError

INSTALLED = Path(".venv-xpk/bin/xpk")


def find_xpk() -> str | None:
    """Return the program; None where there is none."""
    return shutil.which("xpk") or (str(INSTALLED) if INSTALLED.exists() else None)


def create_by_xpk(request: Request, context: str | None, kubeconfig: str | None, *, via: Via | None, run: bool) -> int:
    """Print the command of xpk that creates a job, or run it and return its exit code.

    Raises:
        UserError: xpk cannot create this job, is not there, or does not know the cluster.
    """
    from mdctl.cluster.gke import UNKNOWN, find_gke_cluster
    from mdctl.render.concerns import advice, concerns
    from mdctl.render.xpk_command import workload_create

    if via is None or request.local:
        raise UserError("--run is for --via xpk, and neither is for --local")
    job = request.job()
    output.notes(request.explanation(job))
    cluster = find_gke_cluster(context, kubeconfig)
    words = workload_create(job, cluster or UNKNOWN)
    found = concerns(job)
    for concern in [*(() if run else found), *advice(job)]:
        output.warning(concern)
    if not run:
        output.text(shlex.join(words))
        return 0
    if found:
        raise SpecError("\n".join([f"{job.metadata.name} is not submitted:", *(f"  {concern}" for concern in found)]))
    if cluster is None:
        raise UserError(
            "the kubeconfig's context is not one that gcloud made, gke_PROJECT_LOCATION_CLUSTER, so xpk would not know "
            "the cluster; run `gcloud container clusters get-credentials CLUSTER --location LOCATION`"
        )
    if (program := find_xpk()) is None:
        raise UserError(
            f"xpk is neither on PATH nor at {INSTALLED}; `make xpk` installs it, or pip in a venv of its own"
        )
    return subprocess.run([program, *words[1:]], check=False).returncode
