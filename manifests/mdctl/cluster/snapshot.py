"""Jobs as they stand on a cluster: each JobSet with the Jobs, the pods and the Workload that belong to it.

    observe       one job: four requests
    observe_all   every job: two requests, four where some are queued, starting or ending (for each 500 objects); of the
                  pods only those that do not run yet, of Jobs and Workloads only those that their JobSet leaves open

A Workload is Kueue's: there is none where the job is in no queue, or Kueue has not seen it yet.
"""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.jobs import (
    JOBSET_UID_LABEL,
    OURS,
    QUEUE_LABEL,
    WORKLOAD_LABEL,
    all_jobs,
    find_job,
)
from mdctl.cluster.readable import NotReadable, look

Objects = list[Object]

MANY = 80
"""Of more jobs the objects are not asked for by name: the request would be too long."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One job as it stood when it was looked at."""

    jobset: Object
    jobs: Objects
    pods: Objects
    workload: Object | NotReadable | None = None
    whole: bool = True
    """Whether `pods` are all pods of the job, and not only those that do not run yet."""

    @property
    def name(self) -> str:
        """Return the job's name."""
        return str(self.jobset["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Return the namespace it is in."""
        return str(self.jobset["metadata"]["namespace"])

    @property
    def queue(self) -> str | None:
        """Return the LocalQueue that the job is in."""
        found = self.jobset["metadata"].get("labels", {}).get(QUEUE_LABEL)
        return None if found is None else str(found)

    @property
    def known_workload(self) -> Object | None:
        """Return the Workload, where there is one and it may be read."""
        return None if isinstance(self.workload, NotReadable) else self.workload


def observe(cluster: Cluster, name: str) -> Snapshot:
    """Return one job as it stands.

    Raises:
        ClusterError: there is none of that name; or the cluster does not answer, or refuses.
    """
    jobset = find_job(cluster, name)
    return observe_more(cluster, jobset)


def observe_more(cluster: Cluster, jobset: Object) -> Snapshot:
    """Return the job of a JobSet as it stands."""
    metadata = jobset["metadata"]
    namespace, its = metadata["namespace"], f"{JOBSET_UID_LABEL}={metadata['uid']}"
    found: Objects | NotReadable = []
    if QUEUE_LABEL in metadata.get("labels", {}):
        of_job = f"{WORKLOAD_LABEL}={metadata['uid']}"
        found = look("Workloads", lambda: cluster.objects("Workload", namespace, labels=of_job))
    return Snapshot(
        jobset={"kind": "JobSet", **jobset},
        jobs=cluster.objects("Job", namespace, labels=its),
        pods=cluster.objects("Pod", namespace, labels=its),
        workload=found if isinstance(found, NotReadable) else next(iter(found), None),
    )


def observe_all(cluster: Cluster, *, everywhere: bool = False) -> list[Snapshot]:
    """Return all jobs of the namespace, or `everywhere`, by namespace and name."""

    def objects(kind: str, labels: str, fields: str = "") -> Objects:
        return cluster.objects(kind, labels=labels, fields=fields, everywhere=everywhere)

    with ThreadPoolExecutor(2) as pool:
        pods = pool.submit(objects, "Pod", OURS, "status.phase=Pending")
        jobsets = all_jobs(cluster, everywhere=everywhere)
        moving = _any_of(JOBSET_UID_LABEL, filter(_is_moving, jobsets))
        queued = _any_of(WORKLOAD_LABEL, filter(_is_queued, jobsets))
        workloads = pool.submit(look, "Workloads", lambda: objects("Workload", queued) if queued else [])
        jobs = objects("Job", moving) if moving else []
        return assemble(jobsets, jobs, pods.result(), workloads.result(), whole=False)


def assemble(
    jobsets: Objects, jobs: Objects, pods: Objects, workloads: Objects | NotReadable, *, whole: bool = True
) -> list[Snapshot]:
    """Return each JobSet with what belongs to it among all that there is, by namespace and name."""
    its_jobs, its_pods = (_by_label(objects, JOBSET_UID_LABEL) for objects in (jobs, pods))
    its_workload = {} if isinstance(workloads, NotReadable) else _by_label(workloads, WORKLOAD_LABEL)

    def snapshot(jobset: Object) -> Snapshot:
        uid = jobset["metadata"]["uid"]
        workload = workloads if isinstance(workloads, NotReadable) else next(iter(its_workload.get(uid, ())), None)
        jobset = {"kind": "JobSet", **jobset}
        return Snapshot(jobset=jobset, jobs=its_jobs[uid], pods=its_pods[uid], workload=workload, whole=whole)

    return [snapshot(each) for each in sorted(jobsets, key=_place)]


def _place(jobset: Object) -> tuple[str, str]:
    return jobset["metadata"]["namespace"], jobset["metadata"]["name"]


def _is_moving(jobset: Object) -> bool:
    """Whether a JobSet's own status does not tell all: its Jobs are about to run, or to end."""
    status, groups = jobset.get("status", {}), jobset["spec"]["replicatedJobs"]
    if jobset["spec"].get("suspend") or status.get("terminalState"):
        return False
    ready = {each["name"]: each.get("ready") for each in status.get("replicatedJobsStatus") or ()}
    return any(ready.get(each["name"]) != each.get("replicas") for each in groups)


def _is_queued(jobset: Object) -> bool:
    """Whether what becomes of a job is its Workload's to tell."""
    return bool(jobset["spec"].get("suspend")) and QUEUE_LABEL in jobset["metadata"].get("labels", {})


def _any_of(label: str, jobsets: Iterable[Object]) -> str:
    """Return the selector of what belongs to JobSets, to any JobSet where there are many; empty for none."""
    uids = [each["metadata"]["uid"] for each in jobsets]
    return f"{label} in ({','.join(uids)})" if 0 < len(uids) <= MANY else label if uids else ""


def _by_label(objects: Iterable[Object], label: str) -> dict[str, Objects]:
    found: dict[str, Objects] = defaultdict(list)
    for each in objects:
        found[each["metadata"].get("labels", {}).get(label, "")].append(each)
    return found
