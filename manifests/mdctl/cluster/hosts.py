"""The pods of a job as its hosts, numbered as the workers number themselves: see `mdctl.spec.environment`."""

from collections.abc import Iterable

from mdctl.cluster.client import Object
from mdctl.spec.errors import ClusterError
from mdctl.spec.names import CONTAINER

SLICE_LABEL = "jobset.sigs.k8s.io/job-index"
HOST_LABEL = "batch.kubernetes.io/job-completion-index"
RESTART_LABEL = "jobset.sigs.k8s.io/restart-attempt"


def num_hosts(jobset: Object) -> int:
    """Return how many hosts a job has."""
    return int(jobset["spec"]["replicatedJobs"][0]["replicas"]) * hosts_per_job(jobset)


def hosts_per_job(jobset: Object) -> int:
    """Return how many pods each of its Jobs has."""
    return int(jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["parallelism"])


def check_hosts(jobset: Object, numbers: Iterable[int]) -> None:
    """Refuse numbers that no host of a job has.

    Raises:
        ClusterError: names the first of them, and those there are.
    """
    for number in numbers:
        if number >= num_hosts(jobset):
            raise ClusterError(
                f"job {jobset['metadata']['name']} has no host {number}; its hosts are 0 to {num_hosts(jobset) - 1}"
            )


def host_number(jobset: Object, pod: Object) -> int:
    """Return a pod's number among all hosts of its job."""
    labels = pod["metadata"]["labels"]
    return int(labels[SLICE_LABEL]) * hosts_per_job(jobset) + int(labels[HOST_LABEL])


def restart_of(pod: Object) -> int:
    """Return how often the job had been restarted when a pod was made."""
    return int(pod["metadata"]["labels"].get(RESTART_LABEL, 0))


def has_started(pod: Object) -> bool:
    """Return whether the worker of a pod runs or ran, so that it has a log."""
    return bool(_state(pod).keys() & {"running", "terminated"})


def has_ended(pod: Object) -> bool:
    """Return whether the worker of a pod ran, and does no more."""
    return "terminated" in _state(pod)


def _state(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    return next((dict(each["state"]) for each in statuses if each["name"] == CONTAINER), {})
