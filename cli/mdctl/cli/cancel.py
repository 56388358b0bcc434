"""`mdctl cancel`."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output

if TYPE_CHECKING:
    from mdctl.cluster.client import Cluster


def cancel(
    job: JobName,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Stop a job for good, once it has saved.

    It leaves the cluster; its record and all that it wrote stay in its output directory, and `mdctl resubmit` goes on
    from there.

    \b
    mdctl cancel train-wan-x7k2p
    mdctl cancel train-wan-x7k2p -n team --context prod
    """
    from mdctl.cluster import control
    from mdctl.cluster.jobs import find_job, output_directory

    cluster = connect(context, kubeconfig, namespace)
    jobset = find_job(cluster, job)
    control.cancel(cluster, jobset, output.note)
    _record(cluster, jobset)
    place = {"namespace": jobset["metadata"]["namespace"], "output": output_directory(jobset)}
    output.record({"name": job, "state": "cancelled", **place}, form)


def _record(cluster: "Cluster", jobset: dict[str, Any]) -> None:
    """Write beside what the job wrote that it was cancelled and by whom, where that can be reached from here.

    One that had not begun has written nothing, so its spec is kept too: it is listed, and can be submitted again.
    """
    from mdctl.cluster.jobs import output_directory, spec_text
    from mdctl.results.cancellation import write_cancellation
    from mdctl.results.opening import open_store
    from mdctl.spec.errors import ClusterError, MdctlError
    from mdctl.spec.outputs import JOB

    directory = output_directory(jobset)
    if directory is None or not directory.startswith("gs://"):
        return
    by = None
    with suppress(ClusterError):
        by = cluster.user()
    try:
        store = open_store(directory)
        write_cancellation(store, run=jobset["metadata"]["uid"], by=by)
        if store.find(JOB) is None:
            store.write(JOB, spec_text(jobset).encode())
    except MdctlError as error:
        output.warning(f"its record does not say that it was cancelled: {error}")
