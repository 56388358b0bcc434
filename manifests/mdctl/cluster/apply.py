"""A rendered JobSet onto a cluster: judged whole by the server, then created, once.

    GET the JobSet      the same spec: done, nothing is written; another spec: refused, with the difference
    dry run             of the JobSet, and of the first Job and Pod it becomes, which its own dry run does not look into
    create              and if somebody else was faster, as after GET

Five requests. A job's objects are never changed in place: their queue fills in what applying again would fight over.
"""

import difflib
from typing import Any

from mdctl.cluster.client import Cluster, connect
from mdctl.render.cuts import cut_job, cut_pod
from mdctl.spec.errors import ClusterError
from mdctl.spec.names import SPEC_ANNOTATION, SPEC_HASH_ANNOTATION

Object = dict[str, Any]

MAX_LINES = 24
"""Of a difference, as many as fit on a screen."""


def create(jobset: Object, cluster: Cluster | None = None) -> dict[str, object]:
    """Create a job on a cluster (that of the kubeconfig unless given), or find it there as it should be.

    Raises:
        ClusterError: the cluster refuses it, or has another job of that name.
    """
    cluster = cluster or connect()
    if found := cluster.find(jobset):
        return _same(found, jobset)
    for each in (jobset, cut_job(jobset), cut_pod(jobset)):
        cluster.create(each, dry_run=True)
    try:
        return _record(cluster.create(jobset), "created")
    except ClusterError as error:
        if error.status != 409:
            raise
    found = cluster.find(jobset)
    return _same(found, jobset) if found else create(jobset, cluster)


def difference(found: Object, wanted: Object) -> list[str]:
    """Return the lines in which the specs of two JobSets differ."""
    before, after = (_spec_text(jobset).splitlines() for jobset in (found, wanted))
    lines = difflib.unified_diff(before, after, "on the cluster", "asked for", n=1, lineterm="")
    return [line for line in lines if not line.startswith("@@")]


def _same(found: Object, wanted: Object) -> dict[str, object]:
    """Return the record of a job that is there already; refuse another of its name."""
    theirs, ours = (jobset["metadata"].get("annotations", {}).get(SPEC_HASH_ANNOTATION) for jobset in (found, wanted))
    if theirs == ours:
        return _record(found, "unchanged")
    name = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
    if theirs is None:
        raise ClusterError(f"JobSet {name} is there and is not mdctl's; choose another name with --name")
    lines = difference(found, wanted)
    more = [f"... and {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    raise ClusterError(
        "\n".join([f"JobSet {name} is there with another spec:", *lines[:MAX_LINES], *more])
        + "\nchoose another name with --name, or delete that job first"
    )


def _spec_text(jobset: Object) -> str:
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    return str(template["metadata"]["annotations"][SPEC_ANNOTATION])


def _record(jobset: Object, state: str) -> dict[str, object]:
    metadata = jobset["metadata"]
    return {"name": metadata["name"], "namespace": metadata["namespace"], "state": state}
