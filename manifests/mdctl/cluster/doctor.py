"""Whether a cluster is ready for jobs, one thing after the other: each is well, or has a fix.

    cluster, JobSet, Kueue     there, and of which version: read from their Deployments, never guessed
    sample                     a job of one host, judged by the server and all its webhooks in a dry run
    permissions                of each verb, by SelfSubjectAccessReview
    queues, pools, namespace   whose they are, and what they hold

`warn` is what some jobs can do without, `fail` what none can.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mdctl.cluster.client import Cluster
from mdctl.cluster.conditions import find_condition
from mdctl.cluster.installing import INSTALL_KUEUE
from mdctl.cluster.permissions import NEEDS, lacking
from mdctl.cluster.pools import Pool, observe_pools
from mdctl.cluster.readable import NotReadable, look
from mdctl.cluster.refusal import INSTALL_JOBSET
from mdctl.cluster.sample import sample
from mdctl.cluster.security import ENFORCE
from mdctl.render.checks import KUBERNETES
from mdctl.render.cuts import cut_job, cut_pod
from mdctl.spec.errors import ClusterError

OLDEST_JOBSET = "0.10.1"
"""The first whose failure policy can tell a preemption from a crash."""

MAX_NAMED = 3
"""Permissions that are named of those that a verb lacks."""
BIND = "kubectl create rolebinding mdctl-users --role mdctl-user --user NAME -n"


class Level(StrEnum):
    """How something stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    said: str
    fix: str | None = None


def diagnose(cluster: Cluster, queue: str | None = None) -> Iterator[Check]:
    """Yield what is well and what is not; `queue` is the one that jobs go to unless they say otherwise."""
    try:
        yield _kubernetes(cluster)
        served = _serves(cluster, "jobset.x-k8s.io", "v1alpha2")
        yield _jobset(cluster, served)
        yield _kueue(cluster)
        if served:
            yield _sample(cluster)
        yield from _permissions(cluster)
        yield from _queues(cluster, queue)
        yield from _pools(cluster)
        yield _namespace(cluster)
    except ClusterError as error:
        said, _, fix = str(error).replace("\n", "; ").partition("; ")
        yield Check(name="cluster", level=Level.FAIL, said=said, fix=fix or None)


def _kubernetes(cluster: Cluster) -> Check:
    version = str(cluster.ask("version")["gitVersion"])
    said = f"{cluster.api.configuration.host}, Kubernetes {version}"
    if _numbers(version) < _numbers(KUBERNETES):
        fix = f"update it: jobs need Kubernetes {KUBERNETES} or later, where a Job has failed once its pods are gone"
        return Check(name="cluster", level=Level.FAIL, said=said, fix=fix)
    return Check(name="cluster", level=Level.OK, said=said)


def _jobset(cluster: Cluster, served: bool) -> Check:
    if not served:
        return Check(name="JobSet", level=Level.FAIL, said="not there", fix=INSTALL_JOBSET)
    version, said = _version(cluster, "jobset-controller-manager")
    if version is not None and _numbers(version) < _numbers(OLDEST_JOBSET):
        return Check(
            name="JobSet",
            level=Level.FAIL,
            said=f"{said}, and jobs need {OLDEST_JOBSET} or later",
            fix=INSTALL_JOBSET,
        )
    return Check(name="JobSet", level=Level.OK, said=said)


def _kueue(cluster: Cluster) -> Check:
    if _serves(cluster, "kueue.x-k8s.io", "v1beta2"):
        return Check(name="Kueue", level=Level.OK, said=_version(cluster, "kueue-controller-manager")[1])
    if _serves(cluster, "kueue.x-k8s.io"):
        said = "it does not serve kueue.x-k8s.io/v1beta2, which is there since 0.15"
        return Check(name="Kueue", level=Level.FAIL, said=said, fix=f"update it: {INSTALL_KUEUE}")
    said = "not there: jobs start at once or wait for nodes, and no queue can be named"
    return Check(name="Kueue", level=Level.WARN, said=said, fix=INSTALL_KUEUE)


def _version(cluster: Cluster, deployment: str) -> tuple[str | None, str]:
    """Return the version of a controller where its image tells it, and what to say."""
    fields = f"metadata.name={deployment}"
    found = look("Deployments", lambda: cluster.objects("Deployment", everywhere=True, fields=fields))
    if isinstance(found, NotReadable):
        return None, "there; its version is not readable with these credentials"
    if not found:
        return None, f"there; no Deployment {deployment} tells its version"
    image = str(found[0]["spec"]["template"]["spec"]["containers"][0]["image"])
    tag = re.search(r":v?(\d+\.\d+\.\d+[^@/]*)(@[^/]*)?$", image)
    return (tag[1], tag[1]) if tag else (None, f"there; image {image} tells no version")


def _serves(cluster: Cluster, group: str, version: str | None = None) -> bool:
    try:
        cluster.ask("/".join(filter(None, ("apis", group, version))))
    except ClusterError as error:
        if error.status == 404:
            return False
        raise
    return True


def _sample(cluster: Cluster) -> Check:
    """Let the server judge a job of one host, as submitting one does."""
    jobset = sample(cluster.namespace)
    unjudged = []
    for each in (jobset, cut_job(jobset), cut_pod(jobset)):
        try:
            cluster.create(each, dry_run=True)
        except ClusterError as error:
            if error.status == 403 and "cannot create resource" in str(error):
                unjudged.append(each["kind"])
                continue
            said, _, fix = str(error).partition("\n")
            return Check(name="sample job", level=Level.FAIL, said=said, fix=fix or None)
    if unjudged:
        said = f"its {' and '.join(unjudged)} could not be judged: these credentials may not create any"
        return Check(name="sample job", level=Level.WARN, said=said, fix=f"{BIND} {cluster.namespace}")
    return Check(name="sample job", level=Level.OK, said="accepted in a dry run")


def _permissions(cluster: Cluster) -> Iterator[Check]:
    missing = {verb: found for verb, found in lacking(cluster).items() if found}
    for verb, found in missing.items():
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        said = f"{verb}: you may not {', '.join(map(str, found[:MAX_NAMED]))}{more} in namespace {cluster.namespace}"
        yield Check(name="permissions", level=Level.FAIL, said=said, fix=f"{BIND} {cluster.namespace}")
    if len(missing) < len(NEEDS):
        yield Check(name="permissions", level=Level.OK, said=", ".join(verb for verb in NEEDS if verb not in missing))


def _queues(cluster: Cluster, wanted: str | None) -> Iterator[Check]:
    found = look("queues", lambda: cluster.objects("LocalQueue"))
    if isinstance(found, NotReadable):
        return  # no Kueue, or no permission: either was said
    install = f"mdctl cluster install -n {cluster.namespace}"
    names = sorted(each["metadata"]["name"] for each in found)
    for each in found:
        active = find_condition(each, "Active")
        said = f"{each['metadata']['name']}, to ClusterQueue {each['spec']['clusterQueue']}"
        if active is not None and active.holds:
            yield Check(name="queue", level=Level.OK, said=said)
        else:
            why = active.message if active else "nobody has looked at it: does Kueue run?"
            yield Check(name="queue", level=Level.WARN, said=f"{said}: {why}", fix="see `mdctl queues`, or use another")
    if wanted is not None and wanted not in names:
        said = f"{wanted}, which `mdctl config` names, is not in namespace {cluster.namespace}"
        others = f"`mdctl config set queue NAME` to one of {', '.join(names)}, or " if names else ""
        yield Check(name="queue", level=Level.FAIL, said=said, fix=f"{others}{install}")
    elif not names:
        said = f"namespace {cluster.namespace} has none: jobs do not wait for each other"
        yield Check(name="queue", level=Level.WARN, said=said, fix=install)


def _pools(cluster: Cluster) -> Iterator[Check]:
    found = observe_pools(cluster)
    if isinstance(found, NotReadable):
        fix = "kubectl create clusterrolebinding mdctl-readers --clusterrole mdctl-reader --user NAME"
        yield Check(name="node pools", level=Level.WARN, said="not readable with these credentials", fix=fix)
        return
    by_slice: dict[str, list[Pool]] = defaultdict(list)
    for pool in found.pools:
        by_slice[pool.slice.name if pool.slice else ""].append(pool)
    for name, pools in sorted(by_slice.items()):
        ready, nodes = sum(len(pool.ready) for pool in pools), sum(len(pool.nodes) for pool in pools)
        said = f"{ready} of {nodes} nodes are ready, in {', '.join(pool.name for pool in pools)}"
        if not name:
            fix = "mdctl does not know their labels: see `mdctl slices --all`"
            yield Check(name="node pools", level=Level.WARN, said=f"unknown slices: {said}", fix=fix)
        elif ready < nodes:
            fix = "kubectl describe nodes; a slice of several hosts needs all of its pool"
            yield Check(name="node pools", level=Level.WARN, said=f"{name}: {said}", fix=fix)
        else:
            yield Check(name="node pools", level=Level.OK, said=f"{name}: {said}")
    if not by_slice:
        said = "no node has TPUs or GPUs now"
        yield Check(name="node pools", level=Level.WARN, said=said, fix="make a node pool, or let one scale up")


def _namespace(cluster: Cluster) -> Check:
    found = look("namespace", lambda: cluster.get("Namespace", cluster.namespace))
    if isinstance(found, NotReadable):
        said = f"{cluster.namespace}: its Pod Security profile is not readable with these credentials"
        return Check(name="namespace", level=Level.OK, said=said)
    if found is None:
        fix = f"kubectl create namespace {cluster.namespace}, or name another with --namespace"
        return Check(name="namespace", level=Level.FAIL, said=f"{cluster.namespace} is not there", fix=fix)
    profile = found["metadata"].get("labels", {}).get(ENFORCE, "privileged")
    said = f"{cluster.namespace}: Pod Security profile {profile}"
    if profile == "privileged":
        return Check(name="namespace", level=Level.OK, said=said)
    fix = "for GPU jobs of several machines, which need host paths, another namespace; TPU jobs are fine"
    return Check(name="namespace", level=Level.OK, said=f"{said}; {fix}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0])[:3]))
