"""`mdctl delete`."""

from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def delete(
    job: JobName,
    *,
    yes: Yes = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Take a job off the cluster, with all that belongs to it there.

    A job that runs is told to stop, and saves. What it wrote to its output directory stays; `mdctl resubmit` goes on
    from it.

    \b
    mdctl delete train-wan-x7k2p
    mdctl delete train-wan-x7k2p --yes -n team
    """
    from mdctl.cli.asking import confirm
    from mdctl.cluster import control
    from mdctl.cluster.jobs import find_job, how_it_ended

    cluster = connect(context, kubeconfig, namespace)
    jobset = find_job(cluster, job)
    where = f"{jobset['metadata']['namespace']}/{job}"
    confirm(f"delete {where} ({how_it_ended(jobset) or 'not over yet'})?", yes)
    control.remove(cluster, jobset, output.note)
    output.record({"name": job, "namespace": jobset["metadata"]["namespace"], "state": "deleted"}, form)
