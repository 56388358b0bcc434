"""`mdctl resume`."""

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output


def resume(
    job: JobName,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Let a suspended job go on from its checkpoint.

    In a queue it waits for its turn like a new one.

    \b
    mdctl resume train-wan-x7k2p
    mdctl resume train-wan-x7k2p && mdctl wait train-wan-x7k2p --for running
    """
    from mdctl.cluster import control
    from mdctl.cluster.jobs import find_job

    cluster = connect(context, kubeconfig, namespace)
    jobset = find_job(cluster, job)
    control.resume(cluster, jobset)
    output.record({"name": job, "namespace": jobset["metadata"]["namespace"], "state": "resumed"}, form)
