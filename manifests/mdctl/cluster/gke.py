"""Which cluster of Google's a kubeconfig context is: `gcloud` puts that into its name."""

import re

from kubernetes import config

from mdctl.cluster.client import UNREADABLE
from mdctl.render.xpk_command import GkeCluster

UNKNOWN = GkeCluster(project="PROJECT", location="LOCATION", name="CLUSTER")
"""For a person to fill in."""

_CONTEXT = re.compile(r"gke_([^_]+)_([^_]+)_([^_]+)")


def find_gke_cluster(context: str | None, kubeconfig: str | None) -> GkeCluster | None:
    """Return the cluster of a context, the current one unless another is named; None where its name tells none."""
    try:
        contexts, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call] # half typed
    except UNREADABLE:
        return None
    names = [each["name"] for each in contexts if context is None or each["name"] == context]
    name = current["name"] if context is None else next(iter(names), "")
    match = _CONTEXT.fullmatch(name)
    return GkeCluster(project=match[1], location=match[2], name=match[3]) if match else None
