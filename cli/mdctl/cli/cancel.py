"""`mdctl cancel`."""

from typing import Any

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import Output


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
    _record(jobset)
    place = {"namespace": jobset["metadata"]["namespace"], "output": output_directory(jobset)}
    output.record({"name": job, "state": "cancelled", **place}, form)


def _record(jobset: dict[str, Any]) -> None:
    """Write beside what the job wrote that it was cancelled, where that can be reached from here."""
    from mdctl.cluster.jobs import output_directory
    from mdctl.results.cancellation import write_cancellation
    from mdctl.results.store import open_store
    from mdctl.spec.errors import MdctlError

    directory = output_directory(jobset)
    if directory is None or not directory.startswith("gs://"):
        return
    try:
        write_cancellation(open_store(directory), run=jobset["metadata"]["uid"])
    except MdctlError as error:
        output.warning(f"its record does not say that it was cancelled: {error}")
