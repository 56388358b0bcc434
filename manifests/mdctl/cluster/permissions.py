"""What each verb asks of the API server in its namespace: the Role `mdctl-user` is the sum of it (a test holds that).

Some answer from the rest where they may not look at something; then they say so. What lies outside of the namespace
(nodes, ClusterQueues, jobs of others) is of that kind: see the ClusterRoles beside that Role.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mdctl.cluster.client import Cluster

ASKERS = 8
"""Questions that are asked at a time."""


class Permission(NamedTuple):
    """To do something with a kind of object."""

    verb: str
    kind: str
    subresource: str = ""

    def __str__(self) -> str:
        kind = f"{self.kind}/{self.subresource}" if self.subresource else f"{self.kind}s"
        return f"{self.verb} {kind}"


def _of(kind: str, *verbs: str) -> tuple[Permission, ...]:
    return tuple(Permission(verb, kind) for verb in verbs)


LOOK = tuple(Permission("list", kind) for kind in ("Job", "Pod", "Workload"))
FOLLOW = tuple(Permission(verb, kind) for kind in ("JobSet", "Job", "Pod", "Workload") for verb in ("list", "watch"))
FIND = _of("JobSet", "get", "list")
"""By its name, and where there is none such the nearest."""
CREATE = (
    *_of("JobSet", "create", "get"),
    *_of("Job", "create", "get", "list"),  # create: to have it judged, which a dry run of the JobSet does not do
    *_of("Pod", "create"),
    *_of("Service", "get"),
    *_of("LocalQueue", "list"),
)
REMOVE = (*FIND, *FOLLOW, *_of("JobSet", "delete"))
STOP = (*FIND, *FOLLOW, *_of("JobSet", "patch"), *_of("Workload", "patch"))

NEEDS: dict[str, tuple[Permission, ...]] = {
    "submit": (*CREATE, *REMOVE),
    "list": (*_of("JobSet", "list"), *LOOK),
    "status": (*FIND, *LOOK, *_of("LocalQueue", "list")),
    "watch": (*FIND, *FOLLOW),
    "logs": (*FIND, *FOLLOW, Permission("get", "Pod", "log")),
    "wait": (*FIND, *FOLLOW),
    "events": (*FIND, *LOOK, *_of("Event", "list")),
    "exec": (*FIND, *LOOK, Permission("create", "Pod", "exec"), Permission("get", "Pod", "exec")),
    "suspend, resume": STOP,
    "cancel": (*STOP, *REMOVE),
    "delete": REMOVE,
    "resubmit": (*CREATE, *REMOVE),
    "queues, capacity": (*_of("LocalQueue", "list"), *_of("Workload", "list")),
}


def lacking(cluster: Cluster) -> dict[str, list[Permission]]:
    """Return what these credentials may not do of what each verb needs; nothing for a verb that has all.

    Raises:
        ClusterError: the server does not answer, or refuses the question.
    """
    asked = sorted({each for needs in NEEDS.values() for each in needs})

    def may(each: Permission) -> bool:
        return cluster.may(each.verb, each.kind, subresource=each.subresource)

    with ThreadPoolExecutor(ASKERS) as askers:
        allowed = dict(zip(asked, askers.map(may, asked), strict=True))
    return {verb: sorted({each for each in needs if not allowed[each]}) for verb, needs in NEEDS.items()}
