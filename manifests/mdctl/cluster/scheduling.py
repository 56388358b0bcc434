"""Why pods of a job have no node: what the scheduler says, joined with the node pools that there are.

    gated                    something holds the pod back from the scheduler
    no such nodes            no node has the labels that the pods select; the nearest pool shows what differs
    fewer than a slice       pools of that kind are there, but with less nodes than the slice has hosts
    not ready, tainted       nodes are there, and not to be used
    busy                     others use them

Of a slice that is placed exclusively only the first pod looks for a node; the others are made when it has one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mdctl.cluster.amounts import noun
from mdctl.cluster.client import Object
from mdctl.cluster.host_state import HostState
from mdctl.cluster.hosts import hosts_per_job, num_hosts
from mdctl.cluster.pools import POOL_LABEL, Node, Pool, Pools
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.snapshot import Snapshot
from mdctl.cluster.why import Row, Why, listed, plural

EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"
ALWAYS_TOLERATED = "node.kubernetes.io/"
"""Taints that say how a node is; they are counted as not ready, or cordoned."""


def why_not_placed(snapshot: Snapshot, hosts: Sequence[HostState], pools: Pools | NotReadable | None) -> Why:
    """Return why hosts have no node."""
    gated = [host for host in hosts if host.gates]
    if gated:
        gates = sorted({gate for host in gated for gate in host.gates})
        return Why(
            sentence=f"{plural(len(gated), 'pod')} may not be scheduled yet: {listed(gates)} "
            f"{'is' if len(gates) == 1 else 'are'} to be lifted first, which is its controller's to do"
        )
    stuck = [host for host in hosts if host.unscheduled is not None]
    if not stuck:
        return Why(sentence=f"the scheduler is to find nodes for {plural(len(hosts), 'pod')} yet", passes=True)
    case = _Case(snapshot, stuck, pools)
    found = _by_pools(case) if isinstance(pools, Pools) else _by_scheduler(case)
    unread = [str(pools)] if isinstance(pools, NotReadable) else []
    if isinstance(pools, Pools) and not pools.users_known:
        unread.append("pods of other namespaces")
    rest = ""
    if case.is_exclusive and all(host.index == 0 for host in stuck) and case.hosts > 1:
        rest = "; the other pods of a slice are made once its first has a node"
    return Why(sentence=found.sentence + rest, table=found.table, unread=tuple(unread))


@dataclass(frozen=True)
class _Case:
    snapshot: Snapshot
    stuck: Sequence[HostState]
    pools: Pools | NotReadable | None

    @property
    def pod(self) -> Object:
        """Return the first pod that finds no node."""
        return next(each for each in self.snapshot.pods if each["metadata"]["name"] == self.stuck[0].pod)

    @property
    def selector(self) -> dict[str, str]:
        return self.pod["spec"].get("nodeSelector") or {}

    @property
    def hosts(self) -> int:
        """Return how many nodes each slice needs."""
        return hosts_per_job(self.snapshot.jobset)

    @property
    def is_exclusive(self) -> bool:
        return EXCLUSIVE in self.snapshot.jobset["metadata"].get("annotations", {})

    @property
    def is_bound(self) -> bool:
        """Return whether the pool is chosen already: by the first pod of a slice, for the others."""
        return POOL_LABEL in self.selector

    def is_enough(self, nodes: Sequence[int]) -> bool:
        """Return whether pools with so many nodes each have what the job needs, or one of its slices."""
        if self.is_exclusive:
            return any(count >= self.hosts for count in nodes)
        return sum(nodes) >= num_hosts(self.snapshot.jobset)

    @property
    def said(self) -> str:
        """Return the scheduler's sentence."""
        unscheduled = self.stuck[0].unscheduled
        return unscheduled.message if unscheduled else ""

    @property
    def me(self) -> str:
        return f"{self.snapshot.namespace}/{self.snapshot.name}"


def _by_pools(case: _Case) -> Why:
    assert isinstance(case.pools, Pools)
    pools = case.pools.matching(case.selector)
    if not pools:
        return _no_such_nodes(case, case.pools)
    theirs = [pool for pool in pools if case.is_bound or case.me not in pool.users] if case.is_exclusive else pools
    table = tuple(_row(case, pool) for pool in pools)
    reason = _small(case, theirs) or _unready(case, theirs) or _tainted(case, theirs) or _busy(case, pools)
    return Why(sentence=reason or _by_scheduler(case).sentence, table=table)


def _no_such_nodes(case: _Case, pools: Pools) -> Why:
    wanted, nearest = _labels(case.selector), pools.nearest(case.selector)
    if nearest is None:
        return Why(sentence=f"no node pool has {wanted}, or anything like it; have one made, or ask for another slice")
    differing = {
        key: nearest.labels.get(key) for key, value in case.selector.items() if nearest.labels.get(key) != value
    }
    there = ", ".join(f"{_short(key)} {value or 'unset'}" for key, value in differing.items())
    slice_ = f", which is {nearest.slice.name}" if nearest.slice else ""
    return Why(
        sentence=f"no node pool has {wanted}; the nearest is {nearest.name}, with {there}{slice_}: submit it again for "
        "a slice that is there (see `mdctl capacity`), or have such a pool made",
        table=tuple(_row(case, pool) for pool in pools.pools if pool.slice and nearest.slice and _alike(pool, nearest)),
    )


def _small(case: _Case, pools: Sequence[Pool]) -> str | None:
    """Say that there are not as many nodes as are needed: all in one pool, where a slice takes a pool whole."""
    if not pools or case.is_enough([len(pool.nodes) for pool in pools]):
        return None
    if not case.is_exclusive:
        needed, there = num_hosts(case.snapshot.jobset), sum(len(pool.nodes) for pool in pools)
        return (
            f"the job needs {needed} nodes and there are {there} of that kind ({listed([each.name for each in pools])})"
        )
    found = [f"node pool {pool.name} has {len(pool.nodes)} of the {case.hosts} nodes" for pool in pools]
    return f"{listed(found)} that a slice needs; have it repaired or resized"


def _unready(case: _Case, pools: Sequence[Pool]) -> str | None:
    bad = [node for pool in pools for node in pool.nodes if node not in pool.ready]
    if not bad or case.is_enough([len(pool.ready) for pool in pools]):
        return None
    states = [f"{node.name} is {'cordoned' if node.is_cordoned else 'not ready'}" for node in bad]
    count = sum(len(pool.nodes) for pool in pools)
    return f"{len(bad)} of {plural(count, 'node')} of that kind are not to be used: {listed(states)}"


def _tainted(case: _Case, pools: Sequence[Pool]) -> str | None:
    tolerations = case.pod["spec"].get("tolerations") or []
    bad = {node.name: _taints(node, tolerations) for pool in pools for node in pool.ready}
    if not bad or not all(bad.values()):
        return None
    taints = sorted({taint for found in bad.values() for taint in found})
    return f"every node of that kind has a taint that the job does not tolerate: {listed(taints)}"


def _busy(case: _Case, pools: Sequence[Pool]) -> str | None:
    """Say who uses the nodes."""
    used = [f"{pool.name} by {listed([_named(case, user) for user in pool.users])}" for pool in pools if pool.users]
    nodes = sum(len(pool.nodes) for pool in pools)
    if used:
        free = sum(len(pool.free) for pool in pools)
        left = f", {free} of {plural(nodes, 'node')} are free" if free else ""
        return f"the nodes of that kind are in use: {listed(used)}{left}"
    if not _pools_users_known(case) and "Insufficient" in case.said:
        return f"the nodes of that kind ({nodes}) are in use, by whom may not be read"
    return None


def _by_scheduler(case: _Case) -> Why:
    """Return what the scheduler's own sentence means, for who may not look at nodes."""
    said = case.said.partition(" no new claims")[0].partition(" preemption:")[0].rstrip(". ")
    counts = said.partition(" nodes are available: ")[2] or said
    if "Insufficient" in said:
        [resource, *_] = re.findall(r"Insufficient ([^\s,]+)", said)
        return Why(sentence=f"the nodes with {_labels(case.selector)} have no {noun(resource)} left ({counts})")
    if "anti-affinity" in said:
        return Why(sentence=f"other jobs have the node pools with {_labels(case.selector)} for themselves ({counts})")
    if "didn't match Pod's node affinity/selector" in said:
        return Why(sentence=f"the scheduler finds no node with {_labels(case.selector)} ({counts})")
    return Why(sentence=f"the scheduler finds no node: {counts}")


def _row(case: _Case, pool: Pool) -> Row:
    return {
        "name": pool.name,
        "slice": pool.slice.name if pool.slice else None,
        "nodes": len(pool.nodes),
        "ready": len(pool.ready),
        "free": len(pool.free) if _pools_users_known(case) else None,
        "used by": [_named(case, user) for user in pool.users],
    }


def _pools_users_known(case: _Case) -> bool:
    return isinstance(case.pools, Pools) and case.pools.users_known


def _taints(node: Node, tolerations: Sequence[Object]) -> list[str]:
    return [
        taint["key"]
        for taint in node.taints
        if taint.get("effect") in ("NoSchedule", "NoExecute")
        and not taint["key"].startswith(ALWAYS_TOLERATED)
        and not any(_tolerates(each, taint) for each in tolerations)
    ]


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _alike(pool: Pool, nearest: Pool) -> bool:
    assert pool.slice
    assert nearest.slice
    return pool.slice.kind == nearest.slice.kind


def _named(case: _Case, user: str) -> str:
    return "this job" if user == case.me else user.removeprefix(f"{case.snapshot.namespace}/")


def _labels(selector: dict[str, str]) -> str:
    return ", ".join(f"{_short(key)}={value}" for key, value in selector.items()) or "any labels"


def _short(key: str) -> str:
    return key.rpartition("/")[2]
