"""One host of a job, as its pod tells: where it is, how far it has come, and how it ended."""

from dataclasses import dataclass
from datetime import datetime

from mdctl.cluster.client import Object
from mdctl.cluster.conditions import Condition, find_condition, holds, moment
from mdctl.cluster.hosts import HOST_LABEL, SLICE_LABEL, host_number, restart_of
from mdctl.spec.names import CONTAINER

LAST_LINES = 20
"""Of what a worker said last; a pod's status holds 80 lines at most."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Why a container has not started, in the kubelet's words."""

    reason: str
    message: str
    image: str


@dataclass(frozen=True, kw_only=True)
class HostState:
    """One host, as its pod was when it was looked at."""

    number: int
    """Among all hosts of the job, as in its logs."""
    slice: int
    index: int
    """In its slice."""
    attempt: int
    """How often the job had been restarted when the pod was made."""
    pod: str
    node: str | None
    phase: str
    created: datetime | None
    is_ready: bool
    leaves: bool
    """Whether it was told to stop."""
    disruption: str | None
    """Why, where it is the cluster that wants its place."""
    unscheduled: Condition | None
    """What the scheduler says of a pod that it finds no node for."""
    gates: tuple[str, ...]
    """What must be lifted before the scheduler looks at it."""
    waiting: Waiting | None
    exit_code: int | None
    cause: str
    """What the kubelet says of the end, such as OOMKilled."""
    began: datetime | None
    ended: datetime | None
    lines: tuple[str, ...]
    """What the worker said last, where it failed."""

    @property
    def is_done(self) -> bool:
        """Return whether its work is finished."""
        return self.phase == "Succeeded"

    @property
    def is_active(self) -> bool:
        """Return whether it holds a place, or waits for one."""
        return self.phase not in ("Succeeded", "Failed")

    @property
    def is_lost(self) -> bool:
        """Return whether its node does not say any more how it is."""
        return self.phase == "Running" and not (self.is_ready or self.leaves) and self.exit_code is None

    @property
    def container(self) -> str:
        """Return what its worker does."""
        if self.exit_code is not None:
            return f"exited {self.exit_code}"
        if self.waiting is not None:
            return self.waiting.reason
        if self.began is not None:
            return "running"
        return "-"


def read_host(jobset: Object, pod: Object) -> HostState | None:
    """Return the host that a pod is; None where it has no place in the job."""
    labels, status = pod["metadata"].get("labels", {}), pod.get("status", {})
    if not (labels.get(SLICE_LABEL, "").isdigit() and labels.get(HOST_LABEL, "").isdigit()):
        return None
    state = _worker(status)
    terminated, running = state.get("terminated"), state.get("running")
    disruption, scheduled = find_condition(pod, "DisruptionTarget"), find_condition(pod, "PodScheduled")
    code = terminated.get("exitCode") if terminated else None
    return HostState(
        number=host_number(jobset, pod),
        slice=int(labels[SLICE_LABEL]),
        index=int(labels[HOST_LABEL]),
        attempt=restart_of(pod),
        pod=pod["metadata"]["name"],
        node=pod["spec"].get("nodeName"),
        phase=status.get("phase", "Pending"),
        created=moment(pod["metadata"].get("creationTimestamp")),
        is_ready=holds(pod, "Ready") and "deletionTimestamp" not in pod["metadata"],
        leaves="deletionTimestamp" in pod["metadata"],
        disruption=disruption.message or disruption.reason if disruption and disruption.holds else None,
        unscheduled=scheduled if scheduled and not scheduled.holds else None,
        gates=tuple(gate["name"] for gate in pod["spec"].get("schedulingGates") or ()),
        waiting=_waiting(pod),
        exit_code=code,
        cause=(terminated or {}).get("reason") or status.get("reason") or "",
        began=moment((running or terminated or {}).get("startedAt")),
        ended=moment((terminated or {}).get("finishedAt")),
        lines=_last_lines(terminated or {}) if code else (),
    )


def _worker(status: Object) -> Object:
    statuses = status.get("containerStatuses") or ()
    return next((dict(each.get("state") or {}) for each in statuses if each.get("name") == CONTAINER), {})


def _waiting(pod: Object) -> Waiting | None:
    """Return why the first of a pod's containers that has not started has not, its sidecars before its worker."""
    status = pod.get("status", {})
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        found = (each.get("state") or {}).get("waiting")
        if found:
            return Waiting(
                reason=found.get("reason", ""), message=found.get("message", ""), image=each.get("image", "")
            )
    return None


def _last_lines(terminated: Object) -> tuple[str, ...]:
    return tuple((terminated.get("message") or "").rstrip().splitlines()[-LAST_LINES:])
