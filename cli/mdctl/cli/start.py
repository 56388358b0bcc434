"""Start a job: render it and create it on a cluster, or run it here. A dry run is the first half of either."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdctl.cli import output
from mdctl.cli.connection import connect
from mdctl.cli.request import Request
from mdctl.spec.errors import SpecError
from mdctl.spec.exit_codes import EXIT_CODES
from mdctl.spec.job import DiffusionJob
from mdctl.spec.reading import dump_job

if TYPE_CHECKING:
    from mdctl.cluster.client import Cluster


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The cluster that a job goes to."""

    context: str | None = None
    kubeconfig: str | None = None
    replace: bool = False
    """Whether it takes the place of another of its name there."""

    def cluster(self, job: DiffusionJob) -> "Cluster":
        """Return a connection to it, in the job's namespace."""
        return connect(self.context, self.kubeconfig, job.metadata.namespace)


Then = Callable[[DiffusionJob, "Cluster | None"], int]
"""What is done once a job was created on a cluster, or (None) ran here; returns the code to leave with."""


def start(request: Request, *, to: Destination, dry_run: bool, form: output.Format, then: Then | None = None) -> int:
    """Start what is asked for and return the code to leave with."""
    job = request.job()
    jobset = None if request.local else checked_jobset(job)
    output.notes(request.explanation(job))
    if jobset is None:
        return _start_here(job, dry_run, form, then)
    return start_on_cluster(job, jobset, to=to, dry_run=dry_run, form=form, then=then)


def checked_jobset(job: DiffusionJob) -> dict[str, Any]:
    """Return a job's JobSet, once everything that can be known of it without a cluster is checked."""
    from mdctl.render.checks import check_jobset
    from mdctl.render.jobset import render_jobset

    jobset = render_jobset(job)
    check_jobset(jobset)
    return jobset


def start_on_cluster(
    job: DiffusionJob,
    jobset: dict[str, Any],
    *,
    to: Destination,
    dry_run: bool,
    form: output.Format,
    then: Then | None = None,
) -> int:
    """Create a job's JobSet, or with `dry_run` print it; return the code to leave with."""
    from mdctl.render.concerns import advice, concerns

    found = concerns(job)
    for concern in [*(found if dry_run else ()), *advice(job)]:
        output.warning(concern)
    if dry_run:
        output.planned(jobset, form)
        return 0
    if found:
        raise SpecError("\n".join([f"{job.metadata.name} is not submitted:", *(f"  {concern}" for concern in found)]))
    from mdctl.cluster.apply import create

    cluster = to.cluster(job)
    output.record(create(jobset, cluster, replace=to.replace, say=output.note, warn=output.warning), form)
    return then(job, cluster) if then else 0


def _start_here(job: DiffusionJob, dry_run: bool, form: output.Format, then: Then | None) -> int:
    from mdctl.local.engine import run_local
    from mdctl.local.inputs import check_inputs

    if dry_run:
        output.planned(dump_job(job), form)
        return 0
    check_inputs(job)
    if job.spec.restarts.max_hours is not None:
        output.warning("restarts.maxHours bounds jobs on clusters; here it runs until it is done, or you press Ctrl-C")
    output.note(f"{job.metadata.name}: writing to {job.spec.output_dir}")
    code = run_local(job, write=output.progress)
    output.note(f"{job.metadata.name}: {EXIT_CODES.get(code, 'crashed')} ({job.spec.output_dir})")
    return then(job, None) if then and code == 0 else code
