"""What a cluster needs before people submit jobs to it: planned by the server's dry run, then applied.

    step         an object, and what would become of it: create, change, unchanged
    left alone   it is there, and somebody else's: what is called so is not always ours

Applying again changes nothing. Where Kueue is missing, so are the queues, and that is said.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.kinds import KINDS
from mdctl.cluster.manifests import CRD, PRIORITIES, RBAC, read_manifests
from mdctl.cluster.presets import QueuePreset
from mdctl.cluster.quotas import QUEUE_NAME, flavors, preset_of, queue, topologies
from mdctl.spec.errors import ClusterError
from mdctl.spec.names import MANAGED_BY_LABEL
from mdctl.spec.yaml_text import dump

INSTALL_KUEUE = (
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/kueue/releases/download/v0.18.3/manifests.yaml"
)

SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
"""Metadata that the server writes."""


class Change(StrEnum):
    """What would become of an object."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    LEFT_ALONE = "left alone"


@dataclass(frozen=True, kw_only=True)
class Step:
    """An object to install."""

    wanted: Object
    change: Change
    difference: tuple[str, ...] = ()
    """Lines in which what there is and what would be differ."""

    @property
    def name(self) -> str:
        """Return the object's kind and name, as kubectl takes them."""
        return f"{self.wanted['kind'].lower()}/{self.wanted['metadata']['name']}"

    @property
    def is_due(self) -> bool:
        """Return whether there is something to do."""
        return self.change in (Change.CREATE, Change.CHANGE)

    @property
    def is_left_alone(self) -> bool:
        """Return whether it is somebody else's."""
        return self.change is Change.LEFT_ALONE


def plan(cluster: Cluster, preset: QueuePreset) -> list[Step]:
    """Return what would be installed, in order, as the server judges it: two requests for each object.

    Raises:
        ClusterError: the server refuses, or there is no Kueue to make queues of.
    """
    return [_step(cluster, each) for each in _wanted(cluster, preset)]


def carry_out(cluster: Cluster, steps: list[Step]) -> Iterator[Step]:
    """Do what is due, and yield each step that was."""
    for step in steps:
        if step.is_due:
            cluster.apply(step.wanted)
            yield step


def _wanted(cluster: Cluster, preset: QueuePreset) -> Iterator[Object]:
    for each in read_manifests(*CRD, *RBAC):
        yield _placed(each, cluster.namespace)
    if preset is not QueuePreset.NONE:
        yield from _queues(cluster, preset)


def _queues(cluster: Cluster, preset: QueuePreset) -> Iterator[Object]:
    if cluster.get("CustomResourceDefinition", "clusterqueues.kueue.x-k8s.io") is None:
        raise ClusterError(
            f"the cluster has no Kueue to make queues of; install it first: {INSTALL_KUEUE}\n"
            "or leave queues out with --queue-preset none"
        )
    found, quotas = flavors(cluster.objects("Node"), preset)
    before = cluster.get("ClusterQueue", QUEUE_NAME)
    if preset_of(before) not in (None, preset.value):
        raise ClusterError(
            f"ClusterQueue {QUEUE_NAME} was made with --queue-preset {preset_of(before)}, not {preset}; keep it, or "
            "delete the queue first"
        )
    yield from (*read_manifests(PRIORITIES), *topologies(preset), *found)
    for each in queue(quotas, before, preset):
        yield _placed(each, cluster.namespace)


def _placed(wanted: Object, namespace: str) -> Object:
    if not KINDS[wanted["kind"]].namespaced:
        return wanted
    return {**wanted, "metadata": {**wanted["metadata"], "namespace": namespace}}


def _step(cluster: Cluster, wanted: Object) -> Step:
    before = cluster.find(wanted)
    if before is not None and not _is_ours(before):
        return Step(wanted=wanted, change=Change.LEFT_ALONE)
    after = cluster.apply(wanted, dry_run=True)
    if before is None:
        return Step(wanted=wanted, change=Change.CREATE)
    lines = _difference(before, after)
    return Step(wanted=wanted, change=Change.CHANGE if lines else Change.UNCHANGED, difference=tuple(lines))


def _is_ours(found: Object) -> bool:
    """Return whether an object is ours to change; the definition of our own kind is whoever installed it."""
    ours = (found["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == "mdctl"
    return ours or found["metadata"]["name"].endswith(".mdctl.dev")


def _difference(before: Object, after: Object) -> list[str]:
    old, new = (dump(_without_the_servers(each)).splitlines() for each in (before, after))
    lines = difflib.unified_diff(old, new, n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _without_the_servers(thing: Object) -> Object:
    kept = {key: value for key, value in thing["metadata"].items() if key not in SERVERS}
    return {
        **{key: value for key, value in thing.items() if key not in ("status", "kind", "apiVersion")},
        "metadata": kept,
    }
