"""`mdctl suspend`."""

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output


def suspend(
    job: JobName,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Stop a job until it is resumed.

    Its pods save their state and leave their nodes to others; `mdctl resume` lets it go on from there.

    \b
    mdctl suspend train-wan-x7k2p
    mdctl suspend train-wan-x7k2p -n team --context prod
    """
    from mdctl.cluster import control
    from mdctl.cluster.jobs import find_job

    cluster = connect(context, kubeconfig, namespace)
    jobset = find_job(cluster, job)
    control.suspend(cluster, jobset, output.note)
    output.record({"name": job, "namespace": jobset["metadata"]["namespace"], "state": "suspended"}, form)
