"""A rendered JobSet onto a cluster: examined whole, then created, once.

    dry run of the JobSet     the name is free: go on; the same spec has it: done, nothing is written; another: refused,
                              with the difference, or replaced where that is asked for
    preflight                 everything else that would keep it from running (see `mdctl.cluster.preflight`)
    create                    and if somebody else was faster, as after the dry run

Nine requests at most, and more only where another job gives way. A job's objects are never changed in place: their
queue fills in what applying again would fight over.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any

from mdctl.cluster.client import Cluster, connect
from mdctl.cluster.control import remove
from mdctl.cluster.jobs import how_it_ended
from mdctl.cluster.preflight import examine
from mdctl.spec.errors import ClusterError
from mdctl.spec.names import SPEC_ANNOTATION, SPEC_HASH_ANNOTATION

Object = dict[str, Any]
Say = Callable[[str], None]

_NAMESPACE = re.compile(r"^  namespace: .*\n", re.MULTILINE)

MAX_LINES = 24
"""Of a difference, as many as fit on a screen."""


def silent(line: str) -> None:
    """Say nothing."""


def create(
    jobset: Object, cluster: Cluster | None = None, *, replace: bool = False, say: Say = silent, warn: Say = silent
) -> dict[str, object]:
    """Create a job on a cluster (that of the kubeconfig unless given), or find it there as it should be.

    With `replace` another spec of that name, or one that is over, is deleted first. `say` is told what is waited for
    and what is left to `mdctl status`, `warn` what could not be checked.

    Raises:
        ClusterError: the cluster lacks what it needs, refuses it, or has another job of that name.
    """
    cluster = cluster or connect()
    while True:
        found = _holder(cluster, jobset)
        if found is not None and not (replace and _differs(found, jobset)):
            return _same(found, jobset)
        if (created := _create(cluster, jobset, found, say, warn)) is not None:
            return _record(created, "created" if found is None else "replaced")
        replace = False  # whoever has the name now came after this was asked for


def difference(found: Object, wanted: Object) -> list[str]:
    """Return the lines in which the specs of two JobSets differ; both are in one namespace, whether they name it."""
    before, after = (_spec_text(jobset).splitlines() for jobset in (found, wanted))
    lines = difflib.unified_diff(before, after, "on the cluster", "asked for", n=1, lineterm="")
    return [line for line in lines if not line.startswith("@@")]


def _holder(cluster: Cluster, jobset: Object) -> Object | None:
    """Return the JobSet that has the name; None where it is free, and the server would take this one."""
    while True:
        try:
            cluster.create(jobset, dry_run=True)
        except ClusterError as error:
            if error.status != 409:
                raise
        else:
            return None
        if found := cluster.find(jobset):
            return found


def _create(cluster: Cluster, jobset: Object, replaced: Object | None, say: Say, warn: Say) -> Object | None:
    """Create what was found to be good, in the place of another; return None where somebody else was faster."""
    findings = examine(cluster, jobset, replaced=replaced)
    if findings.problems:
        if replaced is None and cluster.find(jobset) is not None:
            return None
        name = jobset["metadata"]["name"]
        raise ClusterError("\n".join([f"{name} is not submitted:", *(f"  {each}" for each in findings.problems)]))
    if findings.unchecked:
        warn(f"not checked, for these credentials may not look: {', '.join(findings.unchecked)}")
    if findings.left_out:
        say(f"left to `mdctl status {jobset['metadata']['name']}`: {', '.join(findings.left_out)}")
    if replaced is not None:
        _refuse_strangers(replaced)
        remove(cluster, replaced, say)
    try:
        return cluster.create(jobset)
    except ClusterError as error:
        if error.status != 409:
            raise
        return None


def _differs(found: Object, wanted: Object) -> bool:
    """Whether a job is not the one that is wanted, or no more."""
    return _hash(found) != _hash(wanted) or how_it_ended(found) is not None or _is_going(found)


def _same(found: Object, wanted: Object) -> dict[str, object]:
    """Return the record of a job that is there already; refuse another of its name."""
    _refuse_strangers(found)
    name = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
    if _is_going(found):
        raise ClusterError(f"JobSet {name} is being deleted; try again in a moment, or let --replace wait for it")
    if _hash(found) == _hash(wanted):
        ended = how_it_ended(found)
        return _record(found, f"unchanged: it is over ({ended}), --replace runs it again" if ended else "unchanged")
    lines = difference(found, wanted)
    more = [f"... and {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    raise ClusterError(
        "\n".join([f"JobSet {name} is there with another spec:", *lines[:MAX_LINES], *more])
        + "\nchoose another name with --name, or delete that job and create this one with --replace"
    )


def _refuse_strangers(found: Object) -> None:
    if _hash(found) is None:
        name = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
        raise ClusterError(f"JobSet {name} is there and is not mdctl's; choose another name with --name")


def _is_going(jobset: Object) -> bool:
    return "deletionTimestamp" in jobset["metadata"]


def _hash(jobset: Object) -> str | None:
    found = jobset["metadata"].get("annotations", {}).get(SPEC_HASH_ANNOTATION)
    return None if found is None else str(found)


def _spec_text(jobset: Object) -> str:
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    return _NAMESPACE.sub("", template["metadata"]["annotations"][SPEC_ANNOTATION], count=1)


def _record(jobset: Object, state: str) -> dict[str, object]:
    metadata = jobset["metadata"]
    return {"name": metadata["name"], "namespace": metadata["namespace"], "state": state}
