"""Objects of jobs in every state, taken from a real control plane and kept as files: what pure functions are tested on.

python -m tests.cluster.record FOLDER        take them all again, from the cluster of that folder

Each file holds what `mdctl.cluster.snapshot.Snapshot` does, and the events; without what no reader looks at.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mdctl.cluster.client import connect
from mdctl.cluster.snapshot import Snapshot, observe
from mdctl.cluster.state import Phase
from tests.cluster.answers import until_state
from tests.cluster.plane.plane import Plane
from tests.cluster.plane.pods import LINGER, WAITING
from tests.cluster.rendered import JOB, rendered

RECORDED = Path(__file__).parent / "recorded"
UNREAD = (
    *(
        "managedFields",
        "mdctl.dev/spec",
        "env",
        "volumeMounts",
        "volumes",
        "podIPs",
        "hostIPs",
        "affinity",
        "finalizers",
    ),
    *("tolerations", "securityContext", "podFailurePolicy", "imageID", "uncountedTerminatedPods", "podSets"),
    *(
        "schedulerName",
        "dnsPolicy",
        "hostname",
        "subdomain",
        "enableServiceLinks",
        "serviceAccount",
        "preemptionPolicy",
    ),
)
QUEUED = "queue.name=accelerators"
FAMILY, SLICE = "tpu7x", "slice=tpu7x-16"


class Stage:
    """A cluster and a namespace in which things happen to the job called trial."""

    def __init__(self, plane: Plane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace
        self.cluster = connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)

    def submit(self, *overrides, name=JOB, labels=None, **metadata):
        wanted = rendered(self.namespace, *overrides, f"run_name={name}", labels=labels)
        self.cluster.create(wanted)

    def running(self, count, name=JOB):
        """Wait until the pods of a job run, and its Job and JobSet say so; return them."""
        pods = self.plane.pods.running(self.namespace, name, count)
        place = (f"{name}-slice-0", self.namespace)
        self.plane.api.until_one(lambda job: job["status"].get("ready") == count, "Job", *place)
        self.plane.api.until_one(
            lambda jobset: jobset["status"]["replicatedJobsStatus"][0]["ready"], "JobSet", name, self.namespace
        )
        return pods

    def until(self, condition):
        until_state(self.cluster, JOB, condition)

    def until_phase(self, phase):
        self.until(lambda state: state.phase is phase)

    def workload(self):
        return next(
            each for each in self.plane.api.objects("Workload", self.namespace) if JOB in each["metadata"]["name"]
        )


def queued(stage):
    stage.plane.queues.create(stage.namespace, {FAMILY: 8})
    stage.submit(SLICE, QUEUED, name="first")
    stage.running(2, "first")
    stage.submit(SLICE, QUEUED)
    stage.plane.api.until(
        lambda found: any(JOB in each["metadata"]["name"] and "status" in each for each in found),
        "Workload",
        stage.namespace,
    )


def running(stage):
    stage.submit(SLICE, QUEUED)
    stage.running(2)


def completed(stage):
    running(stage)
    stage.plane.pods.finish_all(stage.namespace, JOB)
    stage.until_phase(Phase.COMPLETED)


def failed_by_mistake(stage):
    running(stage)
    pods = stage.running(2)
    stage.plane.pods.finish(pods[1], 2, "reading gs://bucket/clips\nerror: there is no such bucket")
    stage.until_phase(Phase.FAILED)


def failed_too_often(stage):
    stage.submit(SLICE, "restarts.max=1")
    for attempt in range(2):
        stage.until(lambda state, attempt=attempt: state.restarts == attempt and state.phase is Phase.RUNNING)
        stage.plane.pods.finish(stage.running(2)[1], 134, f"fault {attempt}")
    stage.until_phase(Phase.FAILED)


def stopping(stage):
    stage.submit(SLICE, labels={LINGER: "30s"})
    stage.plane.pods.finish(stage.running(2)[1], 1, "Traceback\nValueError: 3")
    stage.until(lambda state: sum(host.leaves for host in state.hosts) == 1)


def restarted(stage):
    stage.submit(SLICE)
    stage.plane.pods.finish(stage.running(2)[1], 75)
    stage.until(lambda state: state.restarts == 1 and state.phase is Phase.RUNNING)
    stage.running(2)


def preempted(stage):
    stage.plane.queues.create(stage.namespace, {FAMILY: 8})
    stage.submit(SLICE, QUEUED, "queue.priority=low")
    stage.running(2)
    stage.submit(SLICE, QUEUED, "queue.priority=high", name="urgent")
    stage.running(2, "urgent")
    stage.until(lambda state: "preempted" in state.reason)


def suspended(stage):
    running(stage)
    stage.plane.api.patch(
        "Workload", stage.workload()["metadata"]["name"], {"spec": {"active": False}}, stage.namespace
    )
    stage.until(lambda state: state.phase is Phase.SUSPENDED and not state.hosts)


def evicted(stage):
    stage.submit(SLICE, labels={LINGER: "30s"})
    stage.plane.pods.evict(stage.running(2)[1])
    stage.until(lambda state: any(host.leaves for host in state.hosts))


def lost(stage):
    running(stage)
    stage.plane.nodes.lose(stage.running(2)[1]["spec"]["nodeName"])
    stage.until(lambda state: any(host.is_lost for host in state.hosts))


def deleting(stage):
    stage.submit(SLICE, labels={LINGER: "30s"})
    stage.running(2)
    stage.cluster.delete(observe(stage.cluster, JOB).jobset)
    stage.until(lambda state: state.phase is Phase.DELETING and any(host.leaves for host in state.hosts))


def unpulled(stage):
    stage.submit(SLICE, labels={WAITING: "ImagePullBackOff"})
    stage.until(lambda state: sum(host.waiting is not None for host in state.hosts) == 2)


def unplaced(stage):
    stage.submit(SLICE, name="busy")
    stage.running(2, "busy")
    stage.submit(SLICE)
    stage.until(lambda state: any(host.unscheduled for host in state.hosts))


def unmade(stage):
    stage.submit(SLICE, "service_account=nosuch")
    stage.plane.api.until(
        lambda found: any(each["reason"] == "FailedCreate" for each in found), "Event", stage.namespace
    )


SITUATIONS: tuple[Callable[[Stage], None], ...] = (
    queued,
    running,
    completed,
    failed_by_mistake,
    failed_too_often,
    stopping,
    restarted,
    preempted,
    suspended,
    evicted,
    lost,
    deleting,
    unpulled,
    unplaced,
    unmade,
)


def load(name: str) -> dict[str, Any]:
    """Return a recorded situation: the job's objects by kind."""
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def load_snapshot(name: str) -> Snapshot:
    """Return a recorded job as it was observed."""
    found = load(name)
    return Snapshot(jobset=found["JobSet"], jobs=found["Job"], pods=found["Pod"], workload=found["Workload"])


def names() -> Iterator[str]:
    """Yield the names of all recorded situations."""
    yield from sorted(path.stem for path in RECORDED.glob("*.json"))


def main(folder: str, *only: str) -> None:
    """Bring each situation about, and write what is seen of it."""
    plane = Plane.load(Path(folder))
    RECORDED.mkdir(exist_ok=True)
    for happen in SITUATIONS:
        name = happen.__name__
        if only and name not in only:
            continue
        with plane.fresh_namespace([FAMILY]) as namespace:
            stage = Stage(plane, namespace)
            happen(stage)
            seen = observe(stage.cluster, JOB)
            events = stage.cluster.objects("Event")
            found = {
                "JobSet": seen.jobset,
                "Job": seen.jobs,
                "Pod": seen.pods,
                "Workload": seen.workload,
                "Event": events,
            }
            (RECORDED / f"{name}.json").write_text(
                _text(_trimmed(found)).replace(namespace, "research"), encoding="utf-8"
            )
            print(name)


def _text(found):
    """Return a situation as JSON, a line for each object."""
    lines = []
    for kind, value in found.items():
        objects = value if isinstance(value, list) else [value]
        text = ",\n".join(json.dumps(each, separators=(",", ":")) for each in objects)
        lines.append(f'"{kind}": [\n{text}]' if isinstance(value, list) else f'"{kind}": {text}')
    return "{" + ",\n".join(lines) + "}\n"


def _trimmed(value):
    if isinstance(value, dict):
        return {key: _trimmed(each) for key, each in value.items() if key not in UNREAD}
    return [_trimmed(each) for each in value] if isinstance(value, list) else value


def _without_templates(jobs):
    return [{**job, "spec": {key: each for key, each in job["spec"].items() if key != "template"}} for job in jobs]


if __name__ == "__main__":
    main(*sys.argv[1:])
