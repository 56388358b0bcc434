"""The kinds of objects that are read and written on a cluster, and where each is served.

One version each: the one that all supported releases serve. Kueue's is v1beta2, which has been there since 0.15.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of object; `plural` is its name in paths."""

    version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Return the API group, empty for the core group."""
        return self.version.rpartition("/")[0]

    def folder(self, namespace: str | None) -> str:
        """Return the path of its objects in a namespace, or with None in all of them."""
        root = f"apis/{self.version}" if "/" in self.version else f"api/{self.version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace is not None else ""
        return f"{root}{inside}/{self.plural}"


KUEUE = "kueue.x-k8s.io/v1beta2"

KINDS: dict[str, Kind] = {
    "JobSet": Kind("jobset.x-k8s.io/v1alpha2", "jobsets"),
    "Job": Kind("batch/v1", "jobs"),
    "Pod": Kind("v1", "pods"),
    "Event": Kind("v1", "events"),
    "Service": Kind("v1", "services"),
    "Secret": Kind("v1", "secrets"),
    "ConfigMap": Kind("v1", "configmaps"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "Node": Kind("v1", "nodes", namespaced=False),
    "PriorityClass": Kind("scheduling.k8s.io/v1", "priorityclasses", namespaced=False),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False),
    "ClusterRoleBinding": Kind("rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False),
    "CustomResourceDefinition": Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False),
    "SelfSubjectReview": Kind("authentication.k8s.io/v1", "selfsubjectreviews", namespaced=False),
    "SelfSubjectAccessReview": Kind("authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False),
    "Deployment": Kind("apps/v1", "deployments"),
    "Workload": Kind(KUEUE, "workloads"),
    "LocalQueue": Kind(KUEUE, "localqueues"),
    "ClusterQueue": Kind(KUEUE, "clusterqueues", namespaced=False),
    "ResourceFlavor": Kind(KUEUE, "resourceflavors", namespaced=False),
    "WorkloadPriorityClass": Kind(KUEUE, "workloadpriorityclasses", namespaced=False),
    "Topology": Kind(KUEUE, "topologies", namespaced=False),
}
"""By the `kind` that objects carry."""
