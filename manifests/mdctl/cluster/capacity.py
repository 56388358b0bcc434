"""What a cluster has of each kind of slice: in node pools, and in the quotas of queues.

    pools      nodes that are there, ready and free; and how many whole slices the free ones make up
    queues     how many slices each could admit now, without borrowing and whoever waits
    xpk        what a cluster made by xpk says that it has, in its ConfigMap <cluster>-resources-configmap

A slice can start where both have room.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.conditions import find_condition
from mdctl.cluster.pools import Pool, Pools
from mdctl.cluster.queues import QueueView, quotas
from mdctl.cluster.readable import NotReadable, look
from mdctl.spec.errors import SliceError
from mdctl.spec.slices import Slice, resolve_slice

XPK_NAMESPACE = "default"
XPK_SUFFIX = "-resources-configmap"


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What there is of one kind of slice."""

    slice: Slice
    pools: tuple[Pool, ...] | None
    """None: nodes may not be read."""
    free: int | None
    """Slices that the free nodes make up; None: who uses the nodes may not be read."""
    queues: Mapping[str, int | None]
    """Slices that each queue could admit now; None: its quotas may not be read."""
    xpk: str | None
    """What xpk says that the cluster has, where it made it."""

    @property
    def nodes(self) -> int:
        """Return the nodes that are there."""
        return sum(len(pool.nodes) for pool in self.pools or ())

    @property
    def ready(self) -> int:
        """Return those that pods can go to, used ones too."""
        return sum(len(pool.ready) for pool in self.pools or ())


def measure(
    pools: Pools | NotReadable, queues: Sequence[QueueView], xpk: Mapping[str, str], wanted: Slice | None = None
) -> list[Capacity]:
    """Return the capacity for one kind of slice, or for each kind that pools or xpk have."""
    return [_capacity(each, pools, queues, xpk) for each in ([wanted] if wanted else _kinds(pools, xpk))]


def observe_xpk(cluster: Cluster) -> dict[str, str]:
    """Return how many nodes of each kind xpk made; empty where it did not make the cluster, or that may not be read."""
    found = look("ConfigMaps", lambda: cluster.objects("ConfigMap", XPK_NAMESPACE))
    maps = [] if isinstance(found, NotReadable) else found
    return {
        key: str(value)
        for each in maps
        if each["metadata"]["name"].endswith(XPK_SUFFIX)
        for key, value in (each.get("data") or {}).items()
    }


def free_slices(slice_: Slice, pools: Iterable[Pool]) -> int:
    """Return how many slices fit on free nodes: a TPU slice of several hosts takes a pool whole."""
    if slice_.kind == "tpu" and slice_.hosts > 1:
        return sum(len(pool.free) >= slice_.hosts and not pool.users for pool in pools)
    return sum(len(pool.free) for pool in pools) // slice_.hosts


def admits(slice_: Slice, queue: QueueView) -> int | None:
    """Return how many slices a queue could admit now, whoever waits; None where its quotas may not be read."""
    if isinstance(queue.cluster_queue, NotReadable) or isinstance(queue.flavors, NotReadable):
        return None
    if queue.cluster_queue is None or _is_inactive(queue.local_queue):
        return 0
    fitting = {each["metadata"]["name"] for each in queue.flavors if fits(slice_, each)}
    mine = [each for each in quotas(queue.cluster_queue) if each.flavor in fitting and each.resource == slice_.resource]
    return sum(int(each.left) // slice_.chips for each in mine)


def fits(slice_: Slice, flavor: Object) -> bool:
    """Whether the nodes of a flavour are hosts of a slice, and have no taint that its pods do not tolerate."""
    labels = flavor["spec"].get("nodeLabels") or {}
    taints = [each["key"] for each in flavor["spec"].get("nodeTaints") or () if each["effect"] != "PreferNoSchedule"]
    same = all(labels.get(key, value) == value for key, value in slice_.node_selector.items())
    return same and all(key == slice_.resource for key in taints)


def _kinds(pools: Pools | NotReadable, xpk: Mapping[str, str]) -> list[Slice]:
    found = [] if isinstance(pools, NotReadable) else [pool.slice for pool in pools.pools]
    named = []
    for device in xpk:
        with suppress(SliceError):
            named.append(resolve_slice(device))
    kinds = {each.name: each for each in (*found, *named) if each is not None}
    return sorted(kinds.values(), key=lambda each: (each.kind, each.generation, each.chips, each.name))


def _capacity(
    slice_: Slice, pools: Pools | NotReadable, queues: Sequence[QueueView], xpk: Mapping[str, str]
) -> Capacity:
    known = None if isinstance(pools, NotReadable) else tuple(pools.matching(slice_.node_selector))
    seen = isinstance(pools, Pools) and pools.users_known
    return Capacity(
        slice=slice_,
        pools=known,
        free=free_slices(slice_, known) if known is not None and seen else None,
        queues={each.name: admits(slice_, each) for each in queues},
        xpk=next((value for device, value in xpk.items() if _is_same(device, slice_)), None),
    )


def _is_same(device: str, slice_: Slice) -> bool:
    with suppress(SliceError):
        return resolve_slice(device).name == slice_.name
    return False


def _is_inactive(local_queue: Object | None) -> bool:
    found = find_condition(local_queue, "Active")
    return found is not None and not found.holds
