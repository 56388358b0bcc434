"""`mdctl logs`."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.durations import seconds
from mdctl.cli.options import Output

if TYPE_CHECKING:
    from mdctl.cluster.client import Cluster, Object
    from mdctl.cluster.logs import Excerpt, Line

Hosts = Annotated[
    list[int] | None,
    typer.Option("--host", metavar="N", min=0, show_default=False, help="Only this host; may be given several times."),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends, over its restarts.")]
Since = Annotated[
    float | None,
    typer.Option("--since", metavar="TIME", parser=seconds, help="Only the last 45s, 10m, 1h30m, ..."),
]
Attempt = Annotated[
    int | None, typer.Option("--attempt", metavar="N", min=1, help="An attempt that the output directory has.")
]
Tail = Annotated[int | None, typer.Option("--tail", metavar="N", min=0, help="Only the last lines of each host.")]


def logs(  # noqa: PLR0913 - each is an option of the verb
    job: JobName,
    *,
    hosts: Hosts = None,
    follow: Follow = False,
    since: Since = None,
    attempt: Attempt = None,
    tail: Tail = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> int:
    """Print what the hosts of a job write.

    With -f until the job ends, and then leave with its exit code; of more than 256 hosts, the first 256. Attempts that
    are over, and jobs that are not on the cluster any more, are read from the output directory, which can be named
    instead of a job.

    \b
    mdctl logs train-wan-x7k2p -f
    mdctl logs train-wan-x7k2p --host 0 --since 10m
    mdctl logs train-wan-x7k2p --attempt 1 --tail 50
    """
    from mdctl.cluster.logs import Excerpt
    from mdctl.spec.errors import UserError

    if form not in (output.Format.TABLE, output.Format.JSON):
        raise UserError(f"-o {form}: logs are lines; use -o table or -o json")
    excerpt = Excerpt(hosts=frozenset(hosts or ()), since=since, tail=tail)
    cluster, jobset = _look_up(job, context, kubeconfig, namespace)
    if cluster is None or jobset is None or attempt is not None:
        from mdctl.cli.kept_logs import kept_logs, output_of

        lines, num_hosts = kept_logs(output_of(job, jobset), attempt, excerpt, follow=follow)
        _show(lines, num_hosts, form)
        return 0
    return _live(cluster, jobset, excerpt, follow, form)


def _look_up(job: str, *connection: str | None) -> "tuple[Cluster | None, Object | None]":
    """Return the cluster and the JobSet of a job, where it is on one; a directory is on none.

    Raises:
        ClusterError: there is neither a job nor results of that name.
    """
    from mdctl.cli.whereabouts import is_directory
    from mdctl.cluster.jobs import find_job
    from mdctl.spec.errors import ClusterError

    if is_directory(job):
        return None, None
    try:
        cluster = connect(*connection)
        return cluster, find_job(cluster, job)
    except ClusterError as error:
        if not _is_kept(job):
            raise
        output.note(f"{str(error).splitlines()[0]}; this is what it kept")
        return None, None


def _is_kept(job: str) -> bool:
    """Return whether a job of that name left logs."""
    from mdctl.cli.kept_logs import output_of
    from mdctl.results.attempts import read_attempts
    from mdctl.results.opening import open_store
    from mdctl.spec.errors import ResultsError

    try:
        return bool(read_attempts(open_store(output_of(job, None))))
    except ResultsError:
        return False


def _live(cluster: "Cluster", jobset: "Object", excerpt: "Excerpt", follow: bool, form: output.Format) -> int:
    """Print the logs of pods; with `follow` wait for the job's end and return its exit code."""
    from mdctl.cluster.following import follow_logs
    from mdctl.cluster.goals import Goal
    from mdctl.cluster.hosts import check_hosts, num_hosts
    from mdctl.cluster.logs import read_logs
    from mdctl.cluster.waiting import wait

    check_hosts(jobset, excerpt.hosts)
    read = follow_logs if follow else read_logs
    _show(read(cluster, jobset, excerpt, output.note), num_hosts(jobset), form)
    return wait(cluster, jobset, Goal.OVER, say=output.note) or 0 if follow else 0


def _show(lines: "Iterable[Line]", num_hosts: int, form: output.Format) -> None:
    """Print lines: as words, each after its host's number where there are several; or as JSON, one object each."""
    from mdctl.cluster.logs import stamp
    from mdctl.spec.log_record import read_record, words

    width = len(str(num_hosts - 1))
    for line in lines:
        if form is output.Format.JSON:
            said = read_record(line.text) or {"message": line.text}
            where = {"time": stamp(line.time), "host": line.host, "restart": line.restart, "pod": line.pod}
            output.text(json.dumps(said | {name: value for name, value in where.items() if value is not None}))
        elif num_hosts > 1:
            output.hosts_line(line.host, width, words(line.text))
        else:
            output.text(words(line.text))
