"""Definitions and webhooks of JobSet, Kueue and KWOK, from their own manifests: reached at a port instead of a Service.

Of Kueue's webhooks, those of frameworks that are not installed here are left out. The stand-in for GKE's is added, and
the definition of JobSet 0.10, which clusters made by xpk have, in a group of its own, so that it judges beside the
newer one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.plane.build import component

Object = dict[str, Any]

OLD_JOBSET = "jobset-0-10.mdctl.test"
"""The API group in which JobSet 0.10's definition is installed."""

KUEUE_NAMES = {
    f"{letter}{kind}.kb.io"
    for letter in "mv"
    for kind in ("clusterqueue", "cohort", "job", "jobset", "resourceflavor", "workload")
}
CONVERTED = {"clusterqueues", "cohorts", "localqueues", "multikueueclusters", "workloads"}

BASES = "manifests/config/components/crd/bases"
WEBHOOKS = "manifests/config/components/webhook/manifests.yaml"


def definitions(kueue: int, bundle: str) -> Iterator[Object]:
    """Yield every CustomResourceDefinition; `kueue` is the port at which Kueue converts between its versions."""
    yield from _read(component("jobset").folder / BASES)
    for name in ("clusterexecs", "execs"):
        yield from _read(component("kwok").folder / f"manifests/kustomize/crd/bases/kwok.x-k8s.io_{name}.yaml")
    for old in _read(component("old-jobset").folder / BASES):
        yield _in_its_own_group(old)
    for each in _read(component("kueue").folder / BASES):
        if each["spec"]["names"]["plural"] in CONVERTED:
            webhook = {"clientConfig": _client(kueue, "/convert", bundle), "conversionReviewVersions": ["v1"]}
            each["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
        yield each


def configurations(jobset: int, kueue: int, gke: int, bundle: str) -> Iterator[Object]:
    """Yield the webhook configurations, given the port of each controller."""
    for each in _read(component("jobset").folder / WEBHOOKS):
        for webhook in each["webhooks"]:
            if webhook["name"] in {"mpod.kb.io", "vpod.kb.io"}:
                of_jobsets = [{"key": "jobset.sigs.k8s.io/jobset-name", "operator": "Exists"}]
                webhook["objectSelector"] = {"matchExpressions": of_jobsets}
        yield _pointed(each, "jobset", jobset, bundle)
    for each in _read(component("kueue").folder / WEBHOOKS):
        each["webhooks"] = [webhook for webhook in each["webhooks"] if webhook["name"] in KUEUE_NAMES]
        yield _pointed(each, "kueue", kueue, bundle)
    yield _gke(gke, bundle)


def _pointed(configuration: Object, name: str, port: int, bundle: str) -> Object:
    """Return a configuration whose webhooks are at a port, called as the controller's own installation calls it."""
    configuration["metadata"]["name"] = f"{name}-{configuration['metadata']['name']}"
    for webhook in configuration["webhooks"]:
        webhook["clientConfig"] = _client(port, webhook["clientConfig"]["service"]["path"], bundle)
    return configuration


def _gke(port: int, bundle: str) -> Object:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "tpu.gke.mdctl.test",
        "admissionReviewVersions": ["v1"],
        "clientConfig": _client(port, "/", bundle),
        "failurePolicy": "Fail",
        "objectSelector": {
            "matchExpressions": [{"key": "batch.kubernetes.io/job-completion-index", "operator": "Exists"}]
        },
        "rules": [rule],
        "sideEffects": "None",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "gke-stand-in"},
        "webhooks": [webhook],
    }


def _client(port: int, path: str, bundle: str) -> Object:
    return {"url": f"https://127.0.0.1:{port}{path}", "caBundle": bundle}


def _in_its_own_group(definition: Object) -> Object:
    definition["metadata"] = {"name": f"{definition['spec']['names']['plural']}.{OLD_JOBSET}"}
    definition["spec"]["group"] = OLD_JOBSET
    names = definition["spec"]["names"]
    definition["spec"]["names"] = {key: names[key] for key in ("kind", "listKind", "plural", "singular")}
    return definition


def _read(path: Path) -> Iterator[Object]:
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    for file in files:
        yield from filter(None, yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
