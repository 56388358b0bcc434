"""`mdctl resubmit`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.options import DryRun, Output, Overrides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mdctl.cluster.client import Cluster
    from mdctl.spec.job import DiffusionJob

Replace = Annotated[bool, typer.Option("--replace", help="Stop it first where it still runs, once it has saved.")]


def resubmit(
    job: JobName,
    overrides: Overrides = None,
    *,
    replace: Replace = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    dry_run: DryRun = False,
    form: Output = output.Format.TABLE,
) -> int:
    """Submit a job again, with changes.

    It keeps its output directory, so it goes on from its newest checkpoint. What it was is read from the cluster, and
    where it is gone from there, from its output directory: give its name, or that directory.

    \b
    mdctl resubmit train-wan-x7k2p training.steps=20000
    mdctl resubmit gs://bucket/runs/1 restarts.maxHours=24 --dry-run
    """
    from mdctl.cli.start import Destination, checked_jobset, start_on_cluster
    from mdctl.cluster.control import refuse_running

    cluster = connect(context, kubeconfig, namespace)
    before, jobset = _what_it_was(job, cluster)
    place = namespace or before.metadata.namespace or cluster.namespace
    wanted = _changed(before, place, overrides or ())
    if jobset is not None and not (replace or dry_run):
        refuse_running(cluster, jobset)
    to = Destination(context=context, kubeconfig=kubeconfig, replace=replace or jobset is not None)
    return start_on_cluster(wanted, checked_jobset(wanted), to=to, dry_run=dry_run, form=form)


def _what_it_was(job: str, cluster: "Cluster") -> tuple["DiffusionJob", dict[str, Any] | None]:
    """Return a job as it was, and its JobSet where it is on the cluster still."""
    from mdctl.cli.whereabouts import is_directory
    from mdctl.cluster.jobs import find_job, read_spec

    recorded = _recorded(job) if is_directory(job) else None
    name = recorded.metadata.name if recorded else job
    if cluster.get("JobSet", name) is None:
        return recorded or _recorded(job), None
    jobset = find_job(cluster, name)
    return recorded or read_spec(jobset), jobset


def _recorded(job: str) -> "DiffusionJob":
    """Return a job as its output directory keeps it."""
    from mdctl.cli.whereabouts import output_directory
    from mdctl.results.opening import open_store
    from mdctl.spec.errors import ResultsError
    from mdctl.spec.outputs import JOB
    from mdctl.spec.reading import parse_job, parse_mapping

    store = open_store(output_directory(job))
    content = store.read(JOB)
    if content is None:
        raise ResultsError(
            f"job {job} is not on the cluster, and {store.location} keeps none; check the name (`mdctl list`), or name "
            "its output directory"
        )
    where = f"{store.location}/{JOB}"
    return parse_job(parse_mapping(content.decode(errors="replace"), where), where)


def _changed(before: "DiffusionJob", namespace: str, overrides: "Sequence[str]") -> "DiffusionJob":
    """Return a job with changes; its name stays."""
    from mdctl.spec.errors import SpecError
    from mdctl.spec.merging import merge
    from mdctl.spec.overrides import apply_overrides
    from mdctl.spec.reading import dump_job, parse_job

    there = merge(dump_job(before), {"metadata": {"namespace": namespace}})
    wanted = parse_job(apply_overrides(there, overrides), before.metadata.name)
    if wanted.metadata.name != before.metadata.name:
        raise SpecError(
            f"job {before.metadata.name} keeps its name when it is submitted again, so it cannot be called "
            f"{wanted.metadata.name}; `mdctl submit` makes another job"
        )
    return wanted
