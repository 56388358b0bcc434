"""The API server as tests see it: objects by kind and name, and waiting for them to be as they should.

It is no part of mdctl, so that what mdctl says can be held against it.
"""

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

Object = dict[str, Any]

PATIENCE = 300.0
"""Seconds after which what was waited for will not be any more, however busy the machine is."""

COMING_UP = (429, 503)
"""Statuses of a server that has only just started, for requests that it did nothing about."""

VERSIONS = {
    "Job": "batch/v1",
    "JobSet": "jobset.x-k8s.io/v1alpha2",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "PriorityClass": "scheduling.k8s.io/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "FlowSchema": "flowcontrol.apiserver.k8s.io/v1",
    "PriorityLevelConfiguration": "flowcontrol.apiserver.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterQueue": "kueue.x-k8s.io/v1beta2",
    "LocalQueue": "kueue.x-k8s.io/v1beta2",
    "ResourceFlavor": "kueue.x-k8s.io/v1beta2",
    "Topology": "kueue.x-k8s.io/v1beta2",
    "Workload": "kueue.x-k8s.io/v1beta2",
    "WorkloadPriorityClass": "kueue.x-k8s.io/v1beta2",
    "Exec": "kwok.x-k8s.io/v1alpha1",
    "ClusterExec": "kwok.x-k8s.io/v1alpha1",
}
"""Of kinds that are not in the core group."""

PLURALS = {"Topology": "topologies", "Endpoints": "endpoints"}


_never = threading.Event()


class ApiError(Exception):
    """The server refused a request."""

    def __init__(self, status: int, answer: Object) -> None:
        super().__init__(f"{status}: {answer.get('message', answer)}")
        self.status = status
        self.answer = answer


class NotFoundError(ApiError):
    """There is no such object."""


class Api:
    """One user's connection to an API server."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        self.server = str(cluster["server"])
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=32)

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """Return an object."""
        return self.request("GET", f"{folder(kind, namespace)}/{name}")

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None where there is none."""
        try:
            return self.get(kind, name, namespace)
        except NotFoundError:
            return None

    def objects(self, kind: str, namespace: str | None = None, **query: str) -> list[Object]:
        """Return the objects of a kind; `labelSelector` and `fieldSelector` narrow them."""
        return list(self.request("GET", folder(kind, namespace), query)["items"])

    def create(self, wanted: Object, **query: str) -> Object:
        """Create an object, refusing fields that its kind does not have."""
        query = {"fieldValidation": "Strict", **query}
        return self.request("POST", _folder_of(wanted), query, wanted)

    def apply(self, wanted: Object) -> Object:
        """Create an object or bring it to this state, by server-side apply."""
        path = f"{_folder_of(wanted)}/{wanted['metadata']['name']}"
        query = {"fieldManager": "plane", "force": "true"}
        return self.request("PATCH", path, query, wanted, "application/apply-patch+yaml")

    def patch(
        self, kind: str, name: str, change: Object, namespace: str | None = None, subresource: str = ""
    ) -> Object:
        """Merge a change into an object, or into a part of it such as /status."""
        path = f"{folder(kind, namespace)}/{name}{subresource}"
        return self.request("PATCH", path, {}, change, "application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str | None = None, **query: str) -> None:
        """Delete an object where there is one; it may take a while to go."""
        with suppress(NotFoundError):
            self.request("DELETE", f"{folder(kind, namespace)}/{name}", query)

    def delete_all(self, kind: str, namespace: str, **query: str) -> None:
        """Delete the objects of a kind in a namespace."""
        self.request("DELETE", folder(kind, namespace), query)

    def until(
        self,
        condition: Callable[[list[Object]], object],
        kind: str,
        namespace: str | None = None,
        patience: float = PATIENCE,
        **query: str,
    ) -> list[Object]:
        """Watch the objects of a kind until the condition holds of all of them; return them.

        A server that is away for a while is waited for.

        Raises:
            TimeoutError: it never did; says what there was instead.
        """
        deadline = monotonic() + patience
        objects: list[Object] = []
        while monotonic() < deadline:
            try:
                for objects in self._watch(kind, namespace, query, deadline):
                    if condition(objects):
                        return objects
            except urllib3.exceptions.HTTPError:
                _never.wait(0.2)
        states = "\n".join(f"  {each['metadata']['name']}: {json.dumps(each.get('status'))}" for each in objects)
        raise TimeoutError(f"{kind} in {namespace} were not as expected after {patience:g} s, but:\n{states}")

    def until_one(
        self,
        condition: Callable[[Object], object],
        kind: str,
        name: str,
        namespace: str | None = None,
        patience: float = PATIENCE,
    ) -> Object:
        """Watch one object until the condition holds of it; return it."""
        query = {"fieldSelector": f"metadata.name={name}"}
        return self.until(lambda found: found and condition(found[0]), kind, namespace, patience, **query)[0]

    def until_gone(self, kind: str, namespace: str | None = None, patience: float = PATIENCE, **query: str) -> None:
        """Wait until there are no such objects."""
        self.until(lambda found: not found, kind, namespace, patience, **query)

    def request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Ask the server anything.

        Raises:
            ApiError: it refuses.
        """
        content = self.text(method, path, query, body, content_type)
        answer: Object = json.loads(content)
        return answer

    def text(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Ask the server for what is no object, such as a pod's log; ask again while it only comes up."""
        deadline = monotonic() + PATIENCE
        while True:
            response = self._pool.request(
                method,
                f"{self.server}/{path}?{urlencode(query or {})}",
                body=None if body is None else json.dumps(body),
                headers={"Accept": "application/json, */*", "Content-Type": content_type},
                timeout=urllib3.Timeout(connect=10, read=PATIENCE),
            )
            if response.status not in COMING_UP or monotonic() > deadline:
                break
            _never.wait(0.2)
        content = response.data.decode()
        if response.status >= 300:
            raise (NotFoundError if response.status == 404 else ApiError)(response.status, _object(content))
        return content

    def _watch(
        self, kind: str, namespace: str | None, query: dict[str, str], deadline: float
    ) -> Iterator[list[Object]]:
        """Yield the objects as they are, and again after each change, for as long as the server goes on telling."""
        path = folder(kind, namespace)
        answer = self.request("GET", path, query)
        objects = {_key(each): each for each in answer["items"]}
        yield list(objects.values())
        seconds = max(1, round(deadline - monotonic()))
        watch = {"watch": "1", "resourceVersion": answer["metadata"]["resourceVersion"], "timeoutSeconds": str(seconds)}
        response = self._pool.request(
            "GET",
            f"{self.server}/{path}?{urlencode({**query, **watch})}",
            preload_content=False,
            timeout=urllib3.Timeout(connect=10, read=seconds + 10),
        )
        try:
            if response.status in COMING_UP:
                _never.wait(0.2)
                return
            for event in _lines(response):
                if event["type"] == "ERROR":
                    return
                objects.pop(_key(event["object"]), None)
                if event["type"] != "DELETED":
                    objects[_key(event["object"])] = event["object"]
                yield list(objects.values())
        finally:
            response.close()


def folder(kind: str, namespace: str | None = None, version: str | None = None) -> str:
    """Return the path of all objects of a kind, in a namespace or in all of the cluster."""
    version = version or VERSIONS.get(kind, "v1")
    root = f"apis/{version}" if "/" in version else f"api/{version}"
    within = "" if namespace is None else f"/namespaces/{namespace}"
    lower = kind.lower()
    return f"{root}{within}/{PLURALS.get(kind, lower + ('es' if lower.endswith('s') else 's'))}"


def holds(each: Object, condition: str) -> bool:
    """Say whether a condition of an object is true."""
    conditions = each.get("status", {}).get("conditions") or []
    return any(found["type"] == condition and found["status"] == "True" for found in conditions)


def _folder_of(wanted: Object) -> str:
    return folder(wanted["kind"], wanted["metadata"].get("namespace"), wanted["apiVersion"])


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[Object]:
    rest = b""
    for chunk in response.stream(2**16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(json.loads, lines)


def _key(each: Object) -> tuple[str, str]:
    return each["metadata"].get("namespace", ""), each["metadata"]["name"]


def _object(content: str) -> Object:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = content
    return answer if isinstance(answer, dict) else {"message": content}
