"""Users who may do a little only."""

from mdctl.cluster.client import connect

READABLE = ("jobsets", "jobs", "pods", "events", "workloads", "localqueues")
SUBMITTER = {kind: ["get", "list", "watch"] for kind in READABLE}


def allowed(plane, namespace, resources):
    """Return the cluster for a user who may do only this in the namespace."""
    user = f"restricted-{namespace}"
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user, "namespace": namespace}}
    rules = [{"apiGroups": ["*"], "resources": [name], "verbs": verbs} for name, verbs in resources.items()]
    plane.api.create({**about, "kind": "Role", "rules": rules})
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
    plane.api.create({**about, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})
    return connect(kubeconfig=str(plane.kubeconfig_for(user)), namespace=namespace)
