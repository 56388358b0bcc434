"""Stopping a job, letting it go on, and taking it off the cluster.

                    in a queue                          in none
    suspend         Workload.spec.active = false        JobSet.spec.suspend = true
    resume          Workload.spec.active = true         JobSet.spec.suspend = false

Kueue undoes a suspension of a JobSet that it has admitted, so its own switch is the one to use. Either way the pods are
told to stop and save within their grace. What takes time says what it waits for.
"""

from collections.abc import Callable
from typing import Any

from mdctl.cluster.client import Cluster
from mdctl.cluster.conditions import find_condition
from mdctl.cluster.jobs import JOBSET_UID_LABEL, QUEUE_LABEL, WORKLOAD_LABEL, find_workload, how_it_ended
from mdctl.cluster.watching import Selection, watch
from mdctl.spec.errors import ClusterError

Object = dict[str, Any]
Objects = list[Object]
Say = Callable[[str], None]

QUEUE_PATIENCE = 20.0
"""Seconds in which Kueue sees a new job; it takes less than one."""


def suspend(cluster: Cluster, jobset: Object, say: Say) -> None:
    """Stop a job until it is resumed; return once all its pods have stopped, saved or out of grace.

    Raises:
        ClusterError: it is over, or the cluster refuses.
    """
    _refuse_ended(jobset, "suspend")
    _switch(cluster, jobset, on=False)
    _wait(cluster, jobset, has_stopped, say)


def resume(cluster: Cluster, jobset: Object) -> None:
    """Let a suspended job go on; in a queue it waits for its turn again.

    Raises:
        ClusterError: it is over, or the cluster refuses.
    """
    _refuse_ended(jobset, "resume")
    if is_out_of_time(find_workload(cluster, jobset)):
        name = jobset["metadata"]["name"]
        raise ClusterError(
            f"job {name} has used up its hours (restarts.maxHours); `mdctl resubmit {name} restarts.maxHours=HOURS` "
            "gives it more, and it goes on from its checkpoint"
        )
    _switch(cluster, jobset, on=True)


def cancel(cluster: Cluster, jobset: Object, say: Say) -> None:
    """Stop a job, wait until its pods have saved, and take it off the cluster.

    Raises:
        ClusterError: it is over, or the cluster refuses.
    """
    _refuse_ended(jobset, "cancel")
    _switch(cluster, jobset, on=False)
    _wait(cluster, jobset, has_stopped, say)
    remove(cluster, jobset, say)


def remove(cluster: Cluster, jobset: Object, say: Say) -> None:
    """Delete a job with all that belongs to it, in the foreground; return once nothing of it is left."""
    cluster.delete(jobset)
    _wait(cluster, jobset, _is_gone, say)


def is_suspended(jobset: Object, workload: Object | None) -> bool:
    """Whether somebody stopped a job; one that waits for its turn in a queue is not meant."""
    if _is_queued(jobset):
        return workload is not None and workload["spec"].get("active") is False
    return bool(jobset["spec"].get("suspend"))


def is_out_of_time(workload: Object | None) -> bool:
    """Whether Kueue stopped a job for good because its hours are used up: it would be stopped again at once."""
    evicted = find_condition(workload, "Evicted")
    return evicted is not None and evicted.holds and "MaximumExecutionTimeExceeded" in evicted.reason


def refuse_running(cluster: Cluster, jobset: Object) -> None:
    """Refuse a job that is not over, or may go on: what is started in its place would write where it writes.

    Raises:
        ClusterError: says how to stop it.
    """
    if how_it_ended(jobset) is None and not is_out_of_time(find_workload(cluster, jobset)):
        name = jobset["metadata"]["name"]
        raise ClusterError(
            f"job {name} is not over, and writes to the same directory; stop it first with `mdctl cancel {name}`, or "
            "let --replace do that"
        )


def _switch(cluster: Cluster, jobset: Object, *, on: bool) -> None:
    if _is_queued(jobset):
        cluster.patch(_workload(cluster, jobset), {"spec": {"active": on}})
    else:
        cluster.patch(jobset, {"spec": {"suspend": not on}})


def _workload(cluster: Cluster, jobset: Object) -> Object:
    """Return the Workload of a job in a queue, as soon as Kueue has made it."""
    metadata = jobset["metadata"]
    its = Selection(kind="Workload", namespace=metadata["namespace"], labels=f"{WORKLOAD_LABEL}={metadata['uid']}")
    for (found,) in watch(cluster, its, seconds=QUEUE_PATIENCE):
        if found:
            return found[0]
    raise ClusterError(
        f"job {metadata['name']} is in queue {metadata['labels'][QUEUE_LABEL]}, but Kueue made no Workload of it; does "
        "Kueue run (`mdctl doctor`)?"
    )


def _refuse_ended(jobset: Object, verb: str) -> None:
    if ended := how_it_ended(jobset):
        name = jobset["metadata"]["name"]
        raise ClusterError(
            f"job {name} is over ({ended}), so there is nothing to {verb}; `mdctl delete {name}` removes it"
        )


def _wait(cluster: Cluster, jobset: Object, done: Callable[[Objects, Objects, Objects], bool], say: Say) -> None:
    """Wait until what is left of a job, its JobSet, Jobs and pods, is as it should be."""
    metadata, said = jobset["metadata"], ""
    place, its = metadata["namespace"], f"{JOBSET_UID_LABEL}={metadata['uid']}"
    selections = (
        Selection(kind="JobSet", namespace=place, fields=f"metadata.name={metadata['name']}"),
        Selection(kind="Job", namespace=place, labels=its),
        Selection(kind="Pod", namespace=place, labels=its),
    )
    for named, jobs, pods in watch(cluster, *selections, on_lost=say):
        jobsets = [each for each in named if each["metadata"]["uid"] == metadata["uid"]]
        if done(jobsets, jobs, pods):
            return
        if (line := _left(jobset, pods)) != said:
            say(line)
            said = line


def has_stopped(jobsets: Objects, jobs: Objects, pods: Objects) -> bool:
    """Whether nothing of a job runs, nor can start; a job that is gone or over has stopped too."""
    if not jobsets or how_it_ended(jobsets[0]):
        return not any(map(_is_active, pods))
    halted = jobsets[0]["spec"].get("suspend") and all(each["spec"].get("suspend") for each in jobs)
    return bool(halted) and not any(map(_is_active, pods))


def _is_gone(jobsets: Objects, jobs: Objects, pods: Objects) -> bool:
    return not (jobsets or jobs or pods)


def _left(jobset: Object, pods: Objects) -> str:
    name, count = jobset["metadata"]["name"], sum(map(_is_active, pods))
    if count == 0:
        return f"job {name}: its pods have stopped; waiting for the cluster"
    grace = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    has = "1 pod has" if count == 1 else f"{count} pods have"
    return f"job {name}: {has} yet to stop, with at most {grace} s to save"


def _is_active(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def _is_queued(jobset: Object) -> bool:
    return QUEUE_LABEL in jobset["metadata"].get("labels", {})
