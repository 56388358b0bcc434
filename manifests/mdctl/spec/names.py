"""Names of the objects of a job, and the labels and annotations on them.

JobSet derives every other name from its own, and each must be a DNS label (RFC 1035) of at most 63 characters:

    Service   <job>                                       also the pods' subdomain
    Job       <job>-slice-<slice index>
    Pod       <job>-slice-<slice index>-<host index>-<5 random>
    DNS       <job>-slice-<slice index>-<host index>.<job>

The pod's is the longest, so with S slices of H hosts a job's name has

    63 - len("-slice-") - digits(S - 1) - 1 - digits(H - 1) - 1 - 5    =    49 - digits(S - 1) - digits(H - 1)    (1)

characters: 47 for v5p-64 (7 + 1 + 1 + 1 + 1 + 5 = 16 others), 44 for two slices of the largest v5p (1536 hosts). Where
a job fans out all pods are of one Job: S is 1, and H the number of its shards.
"""

import re

from mdctl.spec.environment import COORDINATOR_PORT
from mdctl.spec.errors import SpecError

MAX_LABEL = 63
"""Longest DNS label, and longest value of a Kubernetes label."""

GROUP = "slice"
"""The replicated job: its replicas are the slices."""

CONTAINER = "worker"
"""The container that runs `mdctl.runtime`, in every pod."""

SPEC_FOLDER = "/etc/mdctl"
"""In every pod: where the resolved job is."""

SHARED_MEMORY = "/dev/shm"

TASK_LABEL = "mdctl.dev/task"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
SPEC_ANNOTATION = "mdctl.dev/spec"
"""On the pods: the resolved DiffusionJob, which a volume hands to the worker as a file."""
SPEC_HASH_ANNOTATION = "mdctl.dev/spec-hash"
"""On the JobSet: equal for equal specs."""
SLICE_ANNOTATION = "mdctl.dev/slice"
"""On the JobSet: the slice's name."""

_POD_SUFFIX = 5
_DNS_1035 = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def name_budget(slices: int, hosts: int) -> int:
    """Return the longest name that a job of so many slices and hosts per slice can have, by (1)."""
    return MAX_LABEL - len(f"-{GROUP}-{slices - 1}-{hosts - 1}-") - _POD_SUFFIX


def check_name(name: str, slices: int, hosts: int) -> None:
    """Refuse a job's name from which Kubernetes could not derive the names of all objects.

    Raises:
        SpecError: says which rule is broken, with the arithmetic.
    """
    if not _DNS_1035.fullmatch(name):
        raise SpecError(
            f"metadata.name {name!r} names a Service too, so it must start with a letter and hold only a-z, 0-9 and -, "
            "not at the end"
        )
    budget = name_budget(slices, hosts)
    if len(name) > budget:
        longest = f"{pod_hostname(name, slices - 1, hosts - 1)}-" + "x" * _POD_SUFFIX
        raise SpecError(
            f"metadata.name {name!r} has {len(name)} characters, {len(name) - budget} too many: the last pod would be "
            f"{longest}, {len(longest)} characters where Kubernetes takes {MAX_LABEL}; use at most {budget}"
        )


def pod_hostname(job: str, slice_index: int, host_index: int) -> str:
    """Return the host name of one pod, the first label of its DNS name."""
    return f"{job}-{GROUP}-{slice_index}-{host_index}"


def coordinator_address(job: str) -> str:
    """Return `host:port` of rank 0, as every pod of the namespace resolves it."""
    return f"{pod_hostname(job, 0, 0)}.{job}:{COORDINATOR_PORT}"
