"""The manifests that are installed on a cluster: `manifests/install`, which kustomize reads as well.

Here it is `mdctl.install`: a link in a checkout, a folder in a wheel.
"""

from importlib.resources import files
from typing import Any

import yaml

Object = dict[str, Any]

CRD = ("crd/diffusionjob.yaml",)
RBAC = ("rbac/user.yaml", "rbac/reader.yaml", "rbac/observer.yaml", "rbac/worker.yaml")
PRIORITIES = "queues/priorities.yaml"
FLAVOR = "queues/flavor.yaml"
QUEUE = "queues/queue.yaml"
TOPOLOGIES = "queues/topologies.yaml"


def read_manifests(*names: str) -> list[Object]:
    """Return the objects in these files, in their order."""
    folder = files("mdctl.install")
    return [each for name in names for each in yaml.safe_load_all(folder.joinpath(*name.split("/")).read_text("utf-8"))]
