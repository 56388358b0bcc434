"""The jobs on a cluster, and what belongs to each of them.

A job is a JobSet that mdctl made. Its Jobs and pods carry its name as a label, its Workload (Kueue's) carries its uid.
"""

import re
from difflib import get_close_matches

from mdctl.cluster.client import Cluster, Object
from mdctl.spec.errors import ClusterError
from mdctl.spec.job import DiffusionJob
from mdctl.spec.names import MANAGED_BY_LABEL, SPEC_ANNOTATION
from mdctl.spec.reading import parse_job, parse_mapping

OURS = f"{MANAGED_BY_LABEL}=mdctl"
"""Selects the JobSets that are jobs."""
JOBSET_LABEL = "jobset.sigs.k8s.io/jobset-name"
JOBSET_UID_LABEL = "jobset.sigs.k8s.io/jobset-uid"
WORKLOAD_LABEL = "kueue.x-k8s.io/job-uid"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"


def find_job(cluster: Cluster, name: str) -> Object:
    """Return the JobSet of a job.

    Raises:
        ClusterError: there is none of that name, or it is not mdctl's; the message names the nearest.
    """
    found = cluster.get("JobSet", name)
    if found is None:
        others = [each["metadata"]["name"] for each in all_jobs(cluster)]
        near = get_close_matches(name, others, n=1, cutoff=0.0)
        hint = f"the nearest is {near[0]!r}" if near else "there is none at all"
        raise ClusterError(f"no job is called {name!r} in namespace {cluster.namespace}; {hint} (all: `mdctl list`)")
    if found["metadata"].get("labels", {}).get(MANAGED_BY_LABEL) != "mdctl":
        raise ClusterError(f"JobSet {cluster.namespace}/{name} is not mdctl's, so mdctl leaves it alone; use kubectl")
    return found


def all_jobs(cluster: Cluster, *, everywhere: bool = False) -> list[Object]:
    """Return the JobSets of all jobs of the namespace, or `everywhere`."""
    return cluster.objects("JobSet", labels=OURS, everywhere=everywhere)


def belonging(name: str) -> str:
    """Return the selector of a job's Jobs and pods."""
    return f"{JOBSET_LABEL}={name}"


def find_workload(cluster: Cluster, jobset: Object) -> Object | None:
    """Return Kueue's Workload of a job; None where it is in no queue, or Kueue has not seen it yet."""
    if QUEUE_LABEL not in jobset["metadata"].get("labels", {}):
        return None
    metadata = jobset["metadata"]
    found = cluster.objects("Workload", metadata["namespace"], labels=f"{WORKLOAD_LABEL}={metadata['uid']}")
    return found[0] if found else None


def how_it_ended(jobset: Object) -> str | None:
    """Return `Completed` or `Failed` for a job that is over; None where it is not."""
    found = jobset.get("status", {}).get("terminalState")
    return None if found is None else str(found)


def read_spec(jobset: Object) -> DiffusionJob:
    """Return the resolved job that a JobSet carries."""
    return parse_job(_carried(jobset), f"JobSet {jobset['metadata']['name']}")


def output_directory(jobset: Object) -> str | None:
    """Return where a job writes, whatever version of mdctl made it."""
    found = (_carried(jobset).get("spec") or {}).get("outputDir")
    return None if found is None else str(found)


def spec_text(jobset: Object) -> str:
    """Return the resolved spec that a JobSet carries, as it was written."""
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    return str(template["metadata"].get("annotations", {}).get(SPEC_ANNOTATION, "{}"))


def model_name(jobset: Object) -> str | None:
    """Return the model of a job, without reading the rest of its spec: a list of jobs asks for hundreds."""
    match = re.search(r"^  model:\n    name: (\S+)$", spec_text(jobset), re.MULTILINE)
    return match[1] if match else None


def _carried(jobset: Object) -> Object:
    return parse_mapping(spec_text(jobset), f"JobSet {jobset['metadata']['name']}")
