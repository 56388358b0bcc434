"""Start a job: render it and create it on a cluster, or run it here. A dry run is the first half of either."""

from typing import Any

from mdctl.cli import output
from mdctl.cli.request import Request
from mdctl.spec.errors import SpecError
from mdctl.spec.exit_codes import EXIT_CODES
from mdctl.spec.job import DiffusionJob
from mdctl.spec.reading import dump_job


def start(request: Request, *, dry_run: bool, form: output.Format) -> int:
    """Start what is asked for and return the code to leave with."""
    job = request.job()
    jobset = None if request.local else checked_jobset(job)
    output.notes(request.explanation(job))
    return _start_here(job, dry_run, form) if jobset is None else _start_on_cluster(job, jobset, dry_run, form)


def checked_jobset(job: DiffusionJob) -> dict[str, Any]:
    """Return a job's JobSet, once everything that can be known of it without a cluster is checked."""
    from mdctl.render.checks import check_jobset
    from mdctl.render.jobset import render_jobset

    jobset = render_jobset(job)
    check_jobset(jobset)
    return jobset


def _start_here(job: DiffusionJob, dry_run: bool, form: output.Format) -> int:
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
    return code


def _start_on_cluster(job: DiffusionJob, jobset: dict[str, Any], dry_run: bool, form: output.Format) -> int:
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

    output.record(create(jobset), form)
    return 0
