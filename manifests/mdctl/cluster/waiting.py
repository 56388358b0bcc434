"""Waiting for a job to be as somebody wants it, over lost connections and restarts of the API server.

    goal          reached when                         out of reach when
    running       every host's worker runs             it is over, unless it completed
    completed     every host is done                   it failed, or its hours are used up
    failed        it will not be tried again           it completed
    over          either                               its hours are used up
    suspended     it is stopped, and its pods are gone it is over
    deleted       nothing of it is left                -

A job that is deleted is out of every other reach.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mdctl.cluster.client import Cluster
from mdctl.cluster.conditions import find_condition
from mdctl.cluster.control import has_stopped, is_out_of_time
from mdctl.cluster.goals import Goal
from mdctl.cluster.jobs import JOBSET_UID_LABEL, QUEUE_LABEL, WORKLOAD_LABEL, find_job
from mdctl.cluster.readable import NotReadable, look
from mdctl.cluster.refusal import NoAnswer
from mdctl.cluster.snapshot import Snapshot, observe_more
from mdctl.cluster.state import JobState, Phase, summarise
from mdctl.cluster.watching import Selection, watch
from mdctl.spec.errors import ClusterError, PeerLost, Preempted, UserError, WillFailAgain

Object = dict[str, Any]
Say = Callable[[str], None]

OURS = (UserError.exit_code, WillFailAgain.exit_code, Preempted.exit_code, PeerLost.exit_code)
"""Exit codes of the worker that mean the same of the job; any other is a fault."""

OUT_OF_TIME = "its hours are used up (restarts.maxHours)"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A job at a moment of the wait."""

    snapshot: Snapshot
    state: JobState
    out_of_time: bool
    stopped: bool
    """Whether none of its pods runs, nor can start."""
    gone: bool = False

    @property
    def line(self) -> str:
        """Return what it is, in one line."""
        if self.gone:
            return "Deleted"
        return f"{self.state.phase}: {OUT_OF_TIME if self.out_of_time else self.state.reason}"

    @property
    def code(self) -> int:
        """Return the exit code that stands for how it ended: 0, the code of the host that failed first, or 1."""
        if self.state.phase is Phase.COMPLETED:
            return 0
        if self.out_of_time:
            return Preempted.exit_code
        failure = self.state.first_failure
        return failure.exit_code if failure and failure.exit_code in OURS else 1


def wait_for(cluster: Cluster, name: str, goal: Goal, *, seconds: float | None = None, say: Say) -> int | None:
    """Wait until the job of a name is as wanted; raises and returns as `wait`. What is not there is deleted."""
    if goal is Goal.DELETED and cluster.get("JobSet", name) is None:
        return 0
    return wait(cluster, find_job(cluster, name), goal, seconds=seconds, say=say)


def wait(cluster: Cluster, jobset: Object, goal: Goal, *, seconds: float | None = None, say: Say) -> int | None:
    """Wait until a job is as wanted; return the exit code that stands for how it ended, 0 where it has not.

    None where `seconds` passed before. `say` is told each time that it changes.

    Raises:
        ClusterError: it is deleted meanwhile, or the server refuses.
    """
    said = ""
    for moment in follow(cluster, jobset, seconds=seconds, on_lost=say):
        if moment.line != said:
            said = moment.line
            say(f"{moment.state.name}: {said}")
        if (code := _code(moment, goal)) is not None:
            return code if moment.state.phase is not Phase.FAILED else _code(_again(cluster, moment), goal)
    return None


def follow(
    cluster: Cluster, jobset: Object, *, seconds: float | None = None, on_lost: Say | None = None
) -> Iterator[Moment]:
    """Yield a job as it is, and after each change, until it is gone or `seconds` have passed."""
    metadata = jobset["metadata"]
    place, uid = metadata["namespace"], metadata["uid"]
    selections = [
        Selection(kind="JobSet", namespace=place, fields=f"metadata.name={metadata['name']}"),
        Selection(kind="Job", namespace=place, labels=f"{JOBSET_UID_LABEL}={uid}"),
        Selection(kind="Pod", namespace=place, labels=f"{JOBSET_UID_LABEL}={uid}"),
    ]
    hidden = None
    if QUEUE_LABEL in metadata.get("labels", {}):
        its = f"{WORKLOAD_LABEL}={uid}"
        found = look("Workloads", lambda: cluster.objects("Workload", place, labels=its))
        hidden = found if isinstance(found, NotReadable) else None
        selections += [] if hidden else [Selection(kind="Workload", namespace=place, labels=its)]
    last = jobset
    for named, jobs, pods, *rest in watch(cluster, *selections, on_lost=on_lost, seconds=seconds):
        there = [each for each in named if each["metadata"]["uid"] == uid]
        last = {"kind": "JobSet", **(there[0] if there else last)}
        workload = hidden or next(iter(rest[0] if rest else ()), None)
        snapshot = Snapshot(jobset=last, jobs=jobs, pods=pods, workload=workload)
        moment = _moment(snapshot, gone=not (there or jobs or pods))
        yield moment
        if moment.gone:
            return


def _moment(snapshot: Snapshot, *, gone: bool = False) -> Moment:
    return Moment(
        snapshot=snapshot,
        state=summarise(snapshot),
        out_of_time=_is_out_of_time(snapshot),
        stopped=has_stopped([snapshot.jobset], snapshot.jobs, snapshot.pods),
        gone=gone,
    )


def _again(cluster: Cluster, moment: Moment) -> Moment:
    """Return a job that failed as it is now: its pods may be told of later than what came of them."""
    try:
        return _moment(observe_more(cluster, moment.snapshot.jobset))
    except NoAnswer:
        return moment


def _code(moment: Moment, goal: Goal) -> int | None:
    """Return the exit code for a moment at which the goal is reached, or out of reach; None while neither is so."""
    phase = moment.state.phase
    if goal is Goal.DELETED:
        return 0 if moment.gone else None
    if moment.gone:
        raise ClusterError(f"job {moment.state.name} was deleted before it was {goal}")
    if goal is Goal.SUSPENDED and phase is Phase.SUSPENDED and moment.stopped:
        return 0
    if goal is Goal.RUNNING and phase is Phase.RUNNING:
        return 0
    if not (moment.state.is_over or moment.out_of_time):
        return None
    if goal is Goal.FAILED:
        return 0 if phase is not Phase.COMPLETED else 1
    return moment.code or int(goal is Goal.SUSPENDED)


def _is_out_of_time(snapshot: Snapshot) -> bool:
    """Whether a job was stopped for good, by Kueue or by its Jobs' deadline."""
    late = (find_condition(job, "Failed") for job in snapshot.jobs)
    return is_out_of_time(snapshot.known_workload) or any(each and each.reason == "DeadlineExceeded" for each in late)
