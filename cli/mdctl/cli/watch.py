"""`mdctl watch`."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect, job_names
from mdctl.cli.options import Output
from mdctl.cli.screen import Picture, open_screen

if TYPE_CHECKING:
    from mdctl.cluster.client import Cluster
    from mdctl.cluster.snapshot import Snapshot
    from mdctl.cluster.state import JobState
    from mdctl.cluster.why import Why

Job = Annotated[
    str | None,
    typer.Argument(help="One job, until it is over; without it all of the namespace.", autocompletion=job_names),
]


def watch(
    job: Job = None,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Follow jobs as they change.

    On a terminal a table in its place, elsewhere a line for each change. It goes on while the API server is away.

    \b
    mdctl watch
    mdctl watch train-wan-x7k2p
    """
    from mdctl.spec.errors import UserError

    if form not in (output.Format.TABLE, output.Format.JSON):
        raise UserError(f"-o {form}: changes are lines; use -o table or -o json")
    cluster = connect(context, kubeconfig, namespace)
    if job is None:
        _all(cluster, form)
    else:
        _one(cluster, job, form)


def _all(cluster: "Cluster", form: output.Format) -> None:
    from mdctl.cluster.state import summarise

    with open_screen(form, ("phase", "reason")) as screen:
        for snapshots in _follow_all(cluster, screen.say):
            screen.show(partial(_picture, [(each, summarise(each)) for each in snapshots]))


def _one(cluster: "Cluster", job: str, form: output.Format) -> None:
    from mdctl.cluster.jobs import find_job
    from mdctl.cluster.waiting import follow

    reasons = _Reasons(cluster)
    with open_screen(form, ("phase", "reason")) as screen:
        for moment in follow(cluster, find_job(cluster, job), on_lost=screen.say):
            state, jobs = moment.state, [] if moment.gone else [(moment.snapshot, moment.state)]
            why = None if moment.gone else reasons.why(moment.snapshot, state)
            said = why.sentence if why and not why.passes and why.sentence != state.reason else None
            screen.show(partial(_picture, jobs, said))
            if state.is_over:
                return


def _follow_all(cluster: "Cluster", say: Callable[[str], None]) -> "Iterator[list[Snapshot]]":
    """Yield all jobs of the namespace as they are, and after each change."""
    from mdctl.cluster.jobs import JOBSET_UID_LABEL, OURS, WORKLOAD_LABEL
    from mdctl.cluster.readable import NotReadable, look
    from mdctl.cluster.snapshot import assemble
    from mdctl.cluster.watching import Selection
    from mdctl.cluster.watching import watch as follow

    selections = [
        Selection(kind="JobSet", labels=OURS),
        Selection(kind="Job", labels=JOBSET_UID_LABEL),
        Selection(kind="Pod", labels=OURS),
    ]
    found = look("Workloads", lambda: next(cluster.pages("Workload", None, WORKLOAD_LABEL)))
    if not isinstance(found, NotReadable):
        selections.append(Selection(kind="Workload", labels=WORKLOAD_LABEL))
    for jobsets, jobs, pods, *rest in follow(cluster, *selections, on_lost=say):
        yield assemble(jobsets, jobs, pods, found if isinstance(found, NotReadable) else rest[0])


def _picture(jobs: "Sequence[tuple[Snapshot, JobState]]", why: str | None = None) -> Picture:
    return Picture([_line(*each) for each in jobs], [] if why is None else [f"why: {why}"])


def _line(snapshot: "Snapshot", state: "JobState") -> output.Row:
    from mdctl.cli.description import age

    return {
        "name": state.name,
        "phase": str(state.phase),
        "hosts": f"{state.ready}/{state.total}",
        "age": age(state.created, datetime.now(UTC)),
        "queue": snapshot.queue,
        "reason": state.reason,
    }


class _Reasons:
    """Why a job does not run, asked again only when it has changed."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._asked: object = None
        self._why: Why | None = None

    def why(self, snapshot: "Snapshot", state: "JobState") -> "Why | None":
        """Return the answer; while the server is away, the last one."""
        from mdctl.cluster.pending import why_pending
        from mdctl.cluster.refusal import NoAnswer

        now = (state.phase, state.reason, tuple(host.waiting for host in state.hosts))
        if now != self._asked:
            try:
                self._why = why_pending(self._cluster, snapshot, state)
                self._asked = now
            except NoAnswer:
                pass
        return self._why
