"""`mdctl events`."""

from datetime import UTC, datetime

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output


def events(
    job: JobName,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """List what controllers told of a job, in order.

    Events of its JobSet, Jobs, pods and Workload; the same of many pods is one line. Clusters keep them for an hour.

    \b
    mdctl events train-wan-x7k2p
    mdctl events train-wan-x7k2p -o json
    """
    from mdctl.cli.units import duration
    from mdctl.cluster.events import observe_events
    from mdctl.cluster.snapshot import observe

    cluster = connect(context, kubeconfig, namespace)
    now = datetime.now(UTC)
    found = [
        {
            "name": each.reason,
            "ago": duration((now - each.last).total_seconds()),
            "times": each.count,
            "type": each.type,
            "of": each.object,
            "message": each.message,
        }
        for each in observe_events(cluster, observe(cluster, job))
    ]
    output.rows(found, form)
    if not found:
        output.note(f"{job}: the cluster remembers no events of it")
