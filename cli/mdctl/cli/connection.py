"""The cluster that a verb talks to, and the job that it is about."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mdctl.cluster.client import Cluster


def connect(context: str | None, kubeconfig: str | None, namespace: str | None) -> "Cluster":
    """Return the cluster that options name; without `--namespace` the user's setting, then the context's, counts."""
    from mdctl.cli.settings import read_settings
    from mdctl.cluster.client import connect as connect_to

    return connect_to(context, kubeconfig, namespace or read_settings().namespace)


def job_names(typed: str) -> list[str]:
    """Return the names of jobs on the current cluster that begin so, for the shell; none where it does not answer."""
    from mdctl.cluster.jobs import all_jobs
    from mdctl.spec.errors import MdctlError

    try:
        names = [each["metadata"]["name"] for each in all_jobs(connect(None, None, None))]
    except MdctlError:
        return []
    return [name for name in names if name.startswith(typed)]


JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job's name.", autocompletion=job_names)]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace it is in.")]
Context = Annotated[str | None, typer.Option("--context", help="A context of your kubeconfig; without it the current.")]
Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="Another kubeconfig than $KUBECONFIG or ~/.kube/config.")
]
