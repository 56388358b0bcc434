"""Kueue's objects for the nodes that a cluster has: a flavour for each kind of pool, a quota of all that they have.

flavour      v5p-64, v6e-8-spot, a3-mega: the slice, or the kind of GPU machine; spot nodes have one of their own
quota        what the nodes have, or what the queue had where that is more: nodes may be away for a while, and
             somebody may have raised it
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from mdctl.cluster.amounts import amount, shown
from mdctl.cluster.client import Object
from mdctl.cluster.manifests import FLAVOR, QUEUE, TOPOLOGIES, read_manifests
from mdctl.cluster.pools import RESOURCES, slice_of
from mdctl.cluster.presets import QueuePreset
from mdctl.spec.slices import Slice

CAPACITIES = {"cloud.google.com/gke-spot": "spot", "cloud.google.com/gke-flex-start": "flex-start"}
"""Labels of nodes that a job must ask for, and what their flavours are called."""
OWN_TAINTS = (*RESOURCES, *CAPACITIES, "cloud.google.com/gke-queued")
"""Taints that nodes are made with; others come and go."""
QUEUE_NAME = "mdctl"
"""Of the ClusterQueue, and of the LocalQueues in front of it."""
PRESET_ANNOTATION = "mdctl.dev/queue-preset"
"""On the ClusterQueue: which preset it was made by."""

Quotas = dict[str, dict[str, Decimal]]
"""By flavour, and by resource."""
Texts = dict[str, dict[str, str]]
"""Likewise, as they are written."""


def flavors(nodes: Iterable[Object], preset: QueuePreset) -> tuple[list[Object], Quotas]:
    """Return the flavours of nodes with accelerators, and what these nodes have together."""
    found: dict[str, Object] = {}
    quotas: Quotas = defaultdict(lambda: defaultdict(Decimal))
    for node in nodes:
        slice_ = slice_of(node["metadata"].get("labels", {}))
        if slice_ is None:
            continue
        flavor = _flavor(node, slice_, preset)
        name = flavor["metadata"]["name"]
        found.setdefault(name, flavor)
        for resource in (slice_.resource, *_others(preset)):
            assert resource is not None
            quotas[name][resource] += amount(node.get("status", {}).get("allocatable", {}).get(resource))
    return [found[name] for name in sorted(found)], {name: dict(found) for name, found in quotas.items()}


def queue(quotas: Quotas, before: Object | None, preset: QueuePreset) -> list[Object]:
    """Return the ClusterQueue with these quotas, or what it had `before` where that is more, and a LocalQueue."""
    cluster_queue, local_queue = read_manifests(QUEUE)
    cluster_queue["metadata"]["annotations"] = {PRESET_ANNOTATION: preset.value}
    cluster_queue["spec"]["resourceGroups"] = _groups(_more(quotas, _texts_of(before)), preset)
    return [cluster_queue, local_queue]


def topologies(preset: QueuePreset) -> list[Object]:
    """Return the topologies that flavours name."""
    return read_manifests(TOPOLOGIES) if preset is QueuePreset.TOPOLOGY else []


def preset_of(cluster_queue: Object | None) -> str | None:
    """Return the preset by which a ClusterQueue was made."""
    return ((cluster_queue or {}).get("metadata", {}).get("annotations") or {}).get(PRESET_ANNOTATION)


def _flavor(node: Object, slice_: Slice, preset: QueuePreset) -> Object:
    [flavor] = read_manifests(FLAVOR)
    labels = node["metadata"]["labels"]
    capacities = {label: name for label, name in CAPACITIES.items() if labels.get(label) == "true"}
    words = [slice_.generation if slice_.kind == "gpu" else slice_.name.replace(":", "x"), *capacities.values()]
    if preset is QueuePreset.TOPOLOGY:
        words.append("topology")
    flavor["metadata"]["name"] = "-".join(words)
    taints = [
        {key: taint[key] for key in ("key", "value", "effect") if key in taint}
        for taint in node["spec"].get("taints") or ()
        if taint["key"] in OWN_TAINTS and taint["effect"] != "PreferNoSchedule"
    ]
    flavor["spec"] = {
        "nodeLabels": slice_.node_selector | dict.fromkeys(capacities, "true"),
        **({"nodeTaints": taints} if taints else {}),
        **({"topologyName": f"mdctl-{slice_.kind}"} if preset is QueuePreset.TOPOLOGY else {}),
    }
    return flavor


def _others(preset: QueuePreset) -> tuple[str, ...]:
    return ("cpu", "memory") if preset is QueuePreset.EVERYTHING else ()


def _texts_of(cluster_queue: Object | None) -> Texts:
    groups = ((cluster_queue or {}).get("spec") or {}).get("resourceGroups") or ()
    return {
        flavor["name"]: {each["name"]: str(each["nominalQuota"]) for each in flavor["resources"]}
        for group in groups
        for flavor in group["flavors"]
    }


def _more(quotas: Quotas, before: Texts) -> Texts:
    """Return of each quota the larger; what was there before as it was written, for `7Ti` and `7168Gi` are the same."""

    def larger(flavor: str, resource: str) -> str:
        now, text = quotas.get(flavor, {}).get(resource, Decimal(0)), before.get(flavor, {}).get(resource)
        return text if text is not None and amount(text) >= now else shown(resource, now)

    return {
        flavor: {
            resource: larger(flavor, resource)
            for resource in sorted(quotas.get(flavor, {}).keys() | before.get(flavor, {}).keys())
        }
        for flavor in sorted(quotas.keys() | before.keys())
    }


def _groups(quotas: Texts, preset: QueuePreset) -> list[Object]:
    """Return the resource groups: one for each accelerator; one for all where cpu and memory, being in one group only,
    must be given from every flavour."""
    if preset is QueuePreset.EVERYTHING:
        accelerators = [each for each in RESOURCES if any(each in found for found in quotas.values())]
        return [_group(quotas, [*accelerators, *_others(preset)])] if quotas else []
    by_resource = {each: {name: found for name, found in quotas.items() if each in found} for each in RESOURCES}
    return [_group(found, [resource]) for resource, found in by_resource.items() if found]


def _group(quotas: Texts, covered: list[str]) -> Object:
    return {
        "coveredResources": covered,
        "flavors": [
            {"name": name, "resources": [{"name": each, "nominalQuota": found.get(each, "0")} for each in covered]}
            for name, found in quotas.items()
        ],
    }
