"""An API server that has too much to do for somebody.

By priority and fairness a user may have one request under way, and one is: it waits for a webhook that does not answer.
"""

import socket
import threading
import time

import pytest

from mdctl.cluster import client
from mdctl.cluster.client import connect
from mdctl.spec.errors import ClusterError
from tests.cluster.plane.api import PATIENCE, VERSIONS

LONG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "long", "labels": {"mdctl.test/long": "yes"}}}
WANTED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wanted"}}


def digested(flow):
    """Return whether the server has taken up a FlowSchema."""
    conditions = flow.get("status", {}).get("conditions", [])
    return any(each["type"] == "Dangling" and each["status"] == "False" for each in conditions)


def one_at_a_time(user):
    """Return what lets a user have one request under way, and rejects the others."""
    limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rules = [{"subjects": [{"kind": "User", "user": {"name": user}}], "resourceRules": [everything]}]
    flow = {"priorityLevelConfiguration": {"name": user}, "matchingPrecedence": 2, "rules": rules}
    yield "PriorityLevelConfiguration", {"spec": {"type": "Limited", "limited": limited}}
    yield "FlowSchema", {"spec": flow}


def silent_webhook(namespace, port):
    """Return what has the server ask, before it creates LONG, where nobody answers."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    hook = {
        "name": "silent.mdctl.test",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/"},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": LONG["metadata"]["labels"]},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 30,
    }
    return "ValidatingWebhookConfiguration", {"webhooks": [hook]}


@pytest.fixture
def busy(plane, namespace):
    """Yield the connection of a user who has a request under way, and what ends that."""
    user = f"{namespace}-busy"
    mine = connect(kubeconfig=str(plane.kubeconfig_for(user, ["test:admins"])), namespace=namespace)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        made = [silent_webhook(namespace, listener.getsockname()[1]), *one_at_a_time(user)]
        for kind, body in made:
            plane.api.create({"apiVersion": VERSIONS[kind], "kind": kind, "metadata": {"name": user}, **body})
        plane.api.until_one(digested, "FlowSchema", user)
        under_way = threading.Thread(target=mine.create, args=(LONG,))
        under_way.start()
        asked, _ = listener.accept()
        with asked:
            yield mine, lambda: asked.shutdown(socket.SHUT_RDWR)
    under_way.join()
    for kind, _ in made:
        plane.api.delete(kind, user)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(plane, namespace, busy, monkeypatch):
    mine, end = busy
    rests = []

    def rest(seconds):
        if not rests:
            end()
        rests.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(client, "rest", rest)
    mine.create(WANTED)
    assert rests
    assert plane.api.get("ConfigMap", "wanted", namespace)


def test_a_server_that_stays_busy_is_said_to(busy, monkeypatch):
    mine, _ = busy
    rests = []
    monkeypatch.setattr(client, "rest", rests.append)
    with pytest.raises(ClusterError, match="the cluster has too much to do") as refused:
        mine.create(WANTED)
    assert refused.value.status == 429
    assert len(rests) == client.TRIES - 1
    assert all(0 < seconds <= client.LONGEST_REST for seconds in rests)
