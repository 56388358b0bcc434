"""`mdctl status`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect, job_names
from mdctl.cli.options import Output
from mdctl.cli.records import Records, last_lines, outcome_of, read_records

if TYPE_CHECKING:
    from mdctl.cluster.snapshot import Snapshot
    from mdctl.cluster.state import JobState
    from mdctl.cluster.why import Why

MOST_HOSTS = 32
"""Of more, only those are listed that do not simply run."""

Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB_OR_DIRECTORY",
        help="A job's name; or where it wrote, which is all that is then looked at.",
        autocompletion=job_names,
        show_default=False,
    ),
]


def status(
    job: Job,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Show how a job stands.

    Its hosts, attempts and progress; why it does not run yet; and how it failed, with the last lines of the host that
    failed first. A job that is not on the cluster any more is read from its output directory.

    \b
    mdctl status train-wan-x7k2p
    mdctl status gs://bucket/runs/train-wan-x7k2p -o json
    """
    from mdctl.cli.whereabouts import is_directory

    facts = None if is_directory(job) else _on_cluster(job, context, kubeconfig, namespace)
    found = facts or _kept(job)
    if form is output.Format.TABLE:
        _show(found)
    else:
        output.record(found, form)


def _on_cluster(job: str, *connection: str | None) -> dict[str, Any] | None:
    """Return what is known of a job on the cluster; None where it is not there, but has left records.

    Raises:
        ClusterError: there is no job of that name, nor has there been one.
    """
    from mdctl.cluster.jobs import find_job, output_directory
    from mdctl.cluster.pending import why_pending
    from mdctl.cluster.snapshot import observe_more
    from mdctl.cluster.state import summarise
    from mdctl.spec.errors import ClusterError

    try:
        cluster = connect(*connection)
        jobset = find_job(cluster, job)
    except ClusterError as error:
        if not _has_records(job):
            raise
        output.note(f"{str(error).splitlines()[0]}; this is what it kept")
        return None
    snapshot = observe_more(cluster, jobset)
    state = summarise(snapshot)
    return _live(snapshot, state, why_pending(cluster, snapshot, state), read_records(output_directory(jobset)))


def _live(snapshot: "Snapshot", state: "JobState", why: "Why | None", records: Records) -> dict[str, Any]:
    from mdctl.cli.description import attempt_rows, condition_rows, failure_facts, full_progress, host_rows, live_facts

    now = datetime.now(UTC)
    failure = state.first_failure
    lines = failure.lines or last_lines(records, failure.number) if failure else ()
    return {
        **live_facts(snapshot, state, now),
        "output": records.location,
        "progress": full_progress(records.job.progress) if records.job else None,
        "records": records.problem,
        "why": None
        if why is None
        else {"sentence": why.sentence, "table": list(why.table), "unread": list(why.unread)},
        "failure": None if failure is None else {**failure_facts(failure), "lines": list(lines)},
        "hosts": host_rows((*state.leaving, *state.hosts), now),
        "attempts": attempt_rows(records.attempts),
        "conditions": condition_rows(state.conditions, now),
    }


def _kept(job: str) -> dict[str, Any]:
    from mdctl.cli.description import attempt_rows, full_progress, kept_facts, kept_failure
    from mdctl.cli.whereabouts import output_directory
    from mdctl.spec.errors import ResultsError

    records = read_records(output_directory(job))
    if records.job is None:
        raise ResultsError(records.problem or f"{records.location}: no job has written there; check the name")
    return {
        **kept_facts(records.job, outcome_of(records.job), datetime.now(UTC)),
        "output": records.location,
        "progress": full_progress(records.job.progress),
        "failure": kept_failure(records, last_lines),
        "attempts": attempt_rows(records.attempts),
    }


def _has_records(job: str) -> bool:
    from mdctl.cli.whereabouts import output_directory
    from mdctl.spec.errors import ResultsError

    try:
        return read_records(output_directory(job)).job is not None
    except ResultsError:
        return False


def _show(found: dict[str, Any]) -> None:
    """Print what is known as facts, then a section for each thing that has several."""
    problem = found.pop("records", None)
    facts = {name: value for name, value in found.items() if not isinstance(value, (dict, list)) and value is not None}
    output.record(facts, output.Format.TABLE)
    if why := found.get("why"):
        unread = [f"(not readable with these credentials: {', '.join(why['unread'])})"] if why["unread"] else []
        output.section("why it does not run", why["table"], [why["sentence"], *unread])
    if failure := found.get("failure"):
        output.section("what failed first", lines=[failure["said"], *(f"| {line}" for line in failure["lines"])])
    hosts = found.get("hosts", [])
    if len(hosts) > MOST_HOSTS:
        odd = [row for row in hosts if row["worker"] != "running"]
        output.section(f"hosts ({len(hosts) - len(odd)} more run)", odd)
    else:
        output.section("hosts", hosts)
    output.section("attempts", found.get("attempts", []))
    output.section("conditions", found.get("conditions", []))
    if problem:
        output.note(f"what it has written cannot be read: {problem}")
