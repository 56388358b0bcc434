"""The roles in manifests/install: every verb works under them, and no rule is there that none needs."""

import pytest

from mdctl.cluster.capacity import XPK_NAMESPACE
from mdctl.cluster.client import connect
from mdctl.cluster.kinds import KINDS
from mdctl.cluster.manifests import RBAC, read_manifests
from mdctl.cluster.permissions import NEEDS, lacking
from tests.cli.conftest import folder, mdctl
from tests.cluster.rendered import JOB, rendered, template

__all__ = ["folder", "mdctl"]

GROUP = "rbac.authorization.k8s.io"
MANIFESTS = {(each["kind"], each["metadata"]["name"]): each for each in read_manifests(*RBAC)}
USER = MANIFESTS["Role", "mdctl-user"]
CLUSTER_ROLES = [each for (kind, _), each in MANIFESTS.items() if kind == "ClusterRole"]

EXEC = ("", "pods/exec", "create")
"""Asked for beside a request that is a GET, as WebSockets are, so the audit log does not show it."""

JOB_OF_ANYBODY = ["--slice", "v6e-8", "--image", "repo/i:1", "--output-dir", "gs://b/run", "data.path=gs://b/clips"]


def rules(role):
    """Return what a role allows, one by one: a group, a resource, a verb."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked(plane, namespace, user):
    """Return what a user asked of the API server: whether in the namespace, then as above; and what was refused.

    Except for what xpk says of its clusters, in a namespace of its own.
    """
    used, refused = set(), set()
    for entry in plane.requests(user):
        found = entry.get("objectRef")
        if found is None or found["resource"].startswith("selfsubject") or found.get("namespace") == XPK_NAMESPACE:
            continue
        assert found.get("namespace", namespace) == namespace
        resource = "/".join(filter(None, (found["resource"], found.get("subresource"))))
        need = ("namespace" in found, found.get("apiGroup", ""), resource, entry["verb"])
        (refused if entry["responseStatus"]["code"] == 403 else used).add(need)
    return used, refused


@pytest.fixture
def person(plane, namespace, mdctl):
    """Return a function that makes a user with the Role and some ClusterRoles, and one that runs verbs as that user."""
    bindings = []

    def make(*cluster_roles):
        name = f"{namespace}-{len(cluster_roles)}"
        subject = {"apiGroup": GROUP, "kind": "User", "name": name}
        metadata = {"namespace": namespace}
        plane.api.apply({**USER, "metadata": USER["metadata"] | metadata})
        for role in (USER, *cluster_roles):
            if role["kind"] == "ClusterRole":  # a copy, for others install the original
                copied = {**role, "metadata": {"name": f"{name}-{role['metadata']['name']}"}}
                plane.api.create(copied)
                bindings.append(("ClusterRole", copied["metadata"]["name"]))
                bindings.append(("ClusterRoleBinding", copied["metadata"]["name"]))
                where = {"name": copied["metadata"]["name"]}
            else:
                where = {"name": name, **metadata}
            plane.api.create(
                {
                    "apiVersion": f"{GROUP}/v1",
                    "kind": f"{role['kind']}Binding",
                    "metadata": where,
                    "roleRef": {
                        "apiGroup": GROUP,
                        "kind": role["kind"],
                        "name": where["name"] if role is not USER else "mdctl-user",
                    },
                    "subjects": [subject],
                }
            )
        place = ("-n", namespace, "--kubeconfig", str(plane.kubeconfig_for(name)))

        def run(*words, code=0):
            found = mdctl(words[0], *place, *words[1:])
            assert found.code == code, f"{words}\n{found.out}{found.err}"
            return found

        return name, run

    yield make
    for kind, name in bindings:
        plane.api.delete(kind, name)


def live(plane, namespace, run):
    """Run every verb on jobs of a user's, of which a queue admits one at a time."""
    plane.queues.create(namespace, {"v6e-8": 8})
    words = ["train-wan", *JOB_OF_ANYBODY, "--name", JOB, "--queue", "accelerators", "queue.priority=high"]
    run("submit", *words)
    [pod] = plane.pods.running(namespace, JOB, 1)
    plane.pods.write_log(pod, "hello")
    assert run("logs", JOB).out == "hello\n"
    run("exec", JOB, "--", "true")
    run("submit", *words, "training.steps=5", "--replace")
    plane.pods.running(namespace, JOB, 1)
    run("submit", "train-wan", *JOB_OF_ANYBODY, "--name", "later", "--queue", "accelerators", "queue.priority=low")
    assert JOB in run("status", "later").out  # which is before it
    run("suspend", JOB)
    run("resume", JOB)
    plane.pods.running(namespace, JOB, 1)
    for verb in ("list", "queues", "capacity"):
        run(verb)
    run("status", JOB)
    run("events", JOB)
    plane.pods.finish_all(namespace, JOB)
    for words in (["wait", JOB], ["logs", JOB, "-f"], ["watch", JOB]):
        run(*words)
    run("resubmit", JOB, "training.steps=7", "--replace")
    run("cancel", JOB)
    run("submit", "train-wan", *JOB_OF_ANYBODY, "--name", "alone")
    run("suspend", "alone")
    run("delete", "alone", "--yes")


def look_around(run):
    """Run what looks beyond the namespace."""
    words = ["train-wan", *JOB_OF_ANYBODY, "--queue", "accelerators", "--name", "last", "queue.priority=high"]
    assert "there are: high, low" in run("submit", *words, "queue.priority=highest", code=2).err
    run("submit", *words)
    for verb in ("queues", "capacity"):
        run(verb)
    run("status", "last")


@pytest.mark.nodes("v6e-8")
def test_every_verb_works_under_the_roles_and_some_verb_uses_each_rule(plane, namespace, person):
    """Under the Role alone too, and then it is said what could not be looked at."""
    name, run = person()
    live(plane, namespace, run)
    used, refused = asked(plane, namespace, name)
    assert not {need for need in refused if need[0]}
    assert "nodes" in run("capacity").err
    name, run = person(*CLUSTER_ROLES)
    look_around(run)
    widely, refused = asked(plane, namespace, name)
    assert refused == set()
    assert {need[1:] for need in used | widely if need[0]} | {EXEC} == rules(USER)
    assert {need[1:] for need in widely if not need[0]} == {rule for role in CLUSTER_ROLES for rule in rules(role)}


@pytest.mark.nodes("v6e-8")
def test_a_command_needs_what_the_audit_log_does_not_show(plane, namespace, person, mdctl):
    name, run = person()
    plane.api.create(rendered(namespace, "slice=v6e-8"))
    plane.pods.running(namespace, JOB, 1)
    run("exec", JOB, "--", "true")
    less = [rule | {"verbs": ["get"]} if rule["resources"] == ["pods/exec"] else rule for rule in USER["rules"]]
    plane.api.patch("Role", "mdctl-user", {"rules": less}, namespace)
    place = ("-n", namespace, "--kubeconfig", str(plane.kubeconfig_for(name)))
    refused = mdctl("exec", *place, JOB, "--", "true")
    assert (refused.code, "you may not" in refused.err) == (2, True)


SECRETS = "secrets=[{name: hub, key: token, env: T}, {name: notes, mount_path: /notes}]"


def allow_secrets(plane, namespace, user, *names):
    """Do for a user what is written on top of the Role."""
    about = {"apiVersion": f"{GROUP}/v1", "metadata": {"name": "mdctl-secrets", "namespace": namespace}}
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": list(names)}
    plane.api.create({**about, "kind": "Role", "rules": [rule]})
    role = {"apiGroup": GROUP, "kind": "Role", "name": "mdctl-secrets"}
    subjects = [{"apiGroup": GROUP, "kind": "User", "name": user}]
    plane.api.create({**about, "kind": "RoleBinding", "roleRef": role, "subjects": subjects})


def test_secrets_are_beyond_the_role_and_a_submit_says_so_in_a_line(plane, namespace, person):
    """Whether they are there or not; it then goes on."""
    name, run = person()
    words = ("submit", "train-wan", *JOB_OF_ANYBODY, SECRETS)
    for job, more, unseen in (
        ("one", ["secrets=[{name: hub, key: token, env: T}]"], "Secret hub"),
        ("two", [], "Secret hub, Secret notes"),
        (
            "all",
            ["--slice", "v5p-64", "--num-slices", "2", "--queue", "accelerators", "queue.priority=low"],
            "Secrets hub and notes, WorkloadPriorityClass low",
        ),
    ):
        before = len(plane.requests(name))
        found = run(*words, *more, "--name", job)
        [warning] = [line for line in found.err.splitlines() if line.startswith("warning: ")]
        assert warning == f"warning: not checked, for these credentials may not look: {unseen}"
        assert plane.api.get("JobSet", job, namespace)
        assert len(plane.requests(name)) - before < 10


def test_who_may_read_the_secrets_that_a_job_names_has_them_looked_at(plane, namespace, person):
    name, run = person()
    allow_secrets(plane, namespace, name, "hub", "notes")
    metadata = {"name": "hub", "namespace": namespace}
    plane.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"user": "dmFsdWU="}})
    words = ("submit", "train-wan", *JOB_OF_ANYBODY, "--name", JOB)
    refused = run(*words, SECRETS, code=2).err
    assert "Secret hub has no key 'token'; it has: user" in refused
    assert f"Secret notes is not in namespace {namespace}; create it" in refused
    assert plane.api.find("JobSet", JOB, namespace) is None
    found = run(*words, "secrets=[{name: hub, key: user, env: T}]")
    assert "warning: not checked" not in found.err


def test_the_role_is_the_sum_of_what_verbs_need():
    def resource(each):
        plural = KINDS[each.kind].plural
        return KINDS[each.kind].group, f"{plural}/{each.subresource}" if each.subresource else plural, each.verb

    assert rules(USER) == {resource(each) for needs in NEEDS.values() for each in needs}


def test_who_has_the_role_lacks_nothing_and_who_has_none_everything(plane, namespace, person):
    name, _ = person()
    found = lacking(connect(kubeconfig=str(plane.kubeconfig_for(name)), namespace=namespace))
    assert not any(found.values())
    nobody = lacking(connect(kubeconfig=str(plane.kubeconfig_for("nobody")), namespace=namespace))
    assert all(nobody.values())
    assert "create JobSets" in map(str, nobody["submit"])


@pytest.mark.nodes("v6e-8")
def test_pods_have_no_token_and_their_account_may_do_nothing(plane, namespace):
    account = MANIFESTS["ServiceAccount", "mdctl-worker"]
    plane.api.apply({**account, "metadata": account["metadata"] | {"namespace": namespace}})
    plane.api.create(rendered(namespace, "slice=v6e-8", "service_account=mdctl-worker"))
    [pod] = plane.pods.running(namespace, JOB, 1)
    assert pod["spec"]["serviceAccountName"] == "mdctl-worker"
    sources = [source for volume in pod["spec"]["volumes"] for source in volume.get("projected", {}).get("sources", [])]
    assert not any("serviceAccountToken" in source for source in sources)
    assert not [
        mount for mount in pod["spec"]["containers"][0]["volumeMounts"] if "serviceaccount" in mount["mountPath"]
    ]
    assert template(rendered(namespace))["automountServiceAccountToken"] is False
    for group, resource, verb in rules(USER):
        whole, _, subresource = resource.partition("/")
        attributes = {"namespace": namespace, "group": group, "resource": whole, "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": f"system:serviceaccount:{namespace}:mdctl-worker",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
                "resourceAttributes": attributes | ({"subresource": subresource} if subresource else {}),
            },
        }
        assert plane.api.create(review)["status"]["allowed"] is False
