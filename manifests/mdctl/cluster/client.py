"""The API server of a kubeconfig context: plain objects in and out, every refusal a clear error.

Objects are dicts, as `mdctl.render` makes them, so what was checked is what is sent; the server refuses unknown fields.
`mdctl.cluster.watching` follows objects as they change.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep as rest
from typing import Any, Literal
from urllib.parse import quote

import yaml
from kubernetes import client, config
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from mdctl.cluster.kinds import KINDS
from mdctl.cluster.refusal import NoAnswer, explain
from mdctl.spec.errors import ClusterError

Object = dict[str, Any]

FIELD_MANAGER = "mdctl"
TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and to answer."""
PAGE = 500
"""Objects that one answer holds."""

BUSY = 429
"""The server has not looked at the request: whatever it was may be asked again."""
TRIES = 6
LONGEST_REST = 10.0
"""Seconds between two tries, whatever the server would have."""

PATCHES = {"merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml"}

UNREADABLE = (config.ConfigException, yaml.YAMLError, OSError, AttributeError, KeyError, TypeError)
"""What reading a file that is no kubeconfig raises."""


@dataclass(frozen=True)
class Cluster:
    """A connection, and the namespace of objects that name none.

    Every method raises ClusterError where the server cannot be asked (NoAnswer) or refuses (`status` is set).
    """

    api: client.ApiClient
    namespace: str

    def find(self, like: Object) -> Object | None:
        """Return the object of the same kind, namespace and name, where there is one."""
        return self.get(like["kind"], like["metadata"]["name"], like["metadata"].get("namespace"))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, where there is one; `namespace` None is the connection's."""
        place = KINDS[kind].folder(namespace or self.namespace)
        status, answer = self._request("GET", f"{place}/{quote(name)}")
        if status == 404 and answer.get("details", {}).get("name"):
            return None
        return self._accepted(status, answer, f"{kind} {namespace or self.namespace}/{name}")

    def objects(
        self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "", everywhere: bool = False
    ) -> list[Object]:
        """Return all objects of a kind in a namespace, or `everywhere`, that selectors leave."""
        return [each for page in self.pages(kind, namespace, labels, fields, everywhere) for each in page["items"]]

    def pages(
        self, kind: str, namespace: str | None, labels: str = "", fields: str = "", everywhere: bool = False
    ) -> Iterator[Object]:
        """Yield the answers that together list objects; the first one's resourceVersion is where to watch from."""
        place = KINDS[kind].folder(None if everywhere else namespace or self.namespace)
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        following = ""
        while True:
            status, answer = self._request("GET", place, {**query, "continue": following})
            page = self._accepted(status, answer, f"{kind} objects")
            for each in page["items"]:
                each.setdefault("kind", kind)
            yield page
            following = page["metadata"].get("continue", "")
            if not following:
                return

    def create(self, wanted: Object, *, dry_run: bool = False) -> Object:
        """Create an object, or with `dry_run` only let the server and its webhooks judge it.

        Raises:
            ClusterError: `status` is 409 where the name is taken.
        """
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        status, answer = self._request("POST", self._folder(wanted), query, wanted)
        return self._accepted(status, answer, self._name(wanted))

    def patch(self, like: Object, change: Object, *, subresource: str = "") -> Object:
        """Merge a change into an object."""
        path = "/".join(filter(None, (self._path(like), subresource)))
        status, answer = self._request("PATCH", path, {"fieldManager": FIELD_MANAGER}, change, PATCHES["merge"])
        return self._accepted(status, answer, self._name(like))

    def apply(self, wanted: Object, *, dry_run: bool = False) -> Object:
        """Create an object or bring what we own of it to what is wanted, by server-side apply."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": "true"}
        query |= {"dryRun": "All"} if dry_run else {}
        status, answer = self._request("PATCH", self._path(wanted), query, wanted, PATCHES["apply"])
        return self._accepted(status, answer, self._name(wanted))

    def delete(self, like: Object, *, propagation: Literal["Foreground", "Background"] = "Foreground") -> bool:
        """Delete an object, of that uid if `like` has one; return whether it was there."""
        uid = like["metadata"].get("uid")
        body = {"propagationPolicy": propagation} | ({"preconditions": {"uid": uid}} if uid else {})
        status, answer = self._request("DELETE", self._path(like), body=body)
        if status == 404 and answer.get("details", {}).get("name"):
            return False
        if status == 409 and uid and "UID in the precondition" in str(answer.get("message")):
            return False  # another has its name now
        self._accepted(status, answer, self._name(like))
        return True

    def may(self, verb: str, kind: str, *, subresource: str = "", namespace: str | None = None) -> bool:
        """Return whether these credentials may do something, in a namespace or with a kind that is in none."""
        attributes = {"verb": verb, "group": KINDS[kind].group, "resource": KINDS[kind].plural}
        attributes |= {"subresource": subresource} if subresource else {}
        if KINDS[kind].namespaced:
            attributes["namespace"] = namespace or self.namespace
        review = {"apiVersion": KINDS["SelfSubjectAccessReview"].version, "kind": "SelfSubjectAccessReview"}
        return bool(
            self.create({**review, "metadata": {}, "spec": {"resourceAttributes": attributes}})["status"]["allowed"]
        )

    def user(self) -> str:
        """Return the name by which the cluster knows who asks."""
        kind = "SelfSubjectReview"
        found = self.create({"apiVersion": KINDS[kind].version, "kind": kind, "metadata": {}})
        return str(found["status"]["userInfo"]["username"])

    def ask(self, path: str) -> Object:
        """Return what the server answers at a path, such as `version`."""
        status, answer = self._request("GET", path)
        return self._accepted(status, answer, f"/{path}")

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str], *, silence: float | None = None) -> Iterator[Iterator[bytes]]:
        """Open an answer that goes on, and give its lines; with `silence`, NoAnswer after so many seconds of it."""
        response = self._open("GET", path, query, timeout=(TIMEOUT[0], silence))
        try:
            if response.status >= 300:
                self._accepted(response.status, _json(response.data), path)
            yield self._lines(response)
        finally:
            response.close()

    def _lines(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        rest = b""
        try:
            for piece in response.stream(decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines
        except HTTPError as error:
            raise self._no_answer(error) from None
        if rest:
            yield rest

    def _folder(self, thing: Object) -> str:
        kind = KINDS[thing["kind"]]
        return kind.folder(thing["metadata"].get("namespace", self.namespace))

    def _path(self, thing: Object) -> str:
        return f"{self._folder(thing)}/{quote(thing['metadata']['name'])}"

    def _name(self, thing: Object) -> str:
        name = thing["metadata"].get("name", "")
        namespace = thing["metadata"].get("namespace", self.namespace)
        return f"{thing['kind']} {namespace}/{name}" if KINDS[thing["kind"]].namespaced else f"{thing['kind']} {name}"

    def _accepted(self, status: int, answer: Object, what: str) -> Object:
        if 200 <= status < 300:
            return answer
        raise explain(status, answer, what)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
    ) -> tuple[int, Object]:
        response = self._open(method, path, query, body, content)
        try:
            return response.status, _json(response.data)
        except HTTPError as error:
            raise self._no_answer(error) from None

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
        timeout: tuple[float, float | None] = TIMEOUT,
    ) -> BaseHTTPResponse:
        serialized = self.api.param_serialize(
            method,
            f"/{path}",
            query_params=[(name, value) for name, value in (query or {}).items() if value],
            header_params={"Accept": "application/json", "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        for left in reversed(range(TRIES)):
            try:
                response: BaseHTTPResponse = self.api.call_api(*serialized, _request_timeout=timeout).response
            except (HTTPError, client.ApiException) as error:
                raise self._no_answer(error) from None
            if response.status != BUSY or not left:
                break
            response.close()
            rest(min(float(response.headers.get("Retry-After", "1")), LONGEST_REST))
        return response

    def _no_answer(self, error: Exception) -> ClusterError:
        reason = str(getattr(error, "reason", error)).rpartition(": ")[2]
        return NoAnswer(
            f"no cluster answers at {self.api.configuration.host}: {reason}; is it running, and is "
            "`kubectl config current-context` the one you mean?"
        )


def connect(context: str | None = None, kubeconfig: str | None = None, namespace: str | None = None) -> Cluster:
    """Return the cluster of a kubeconfig context: the current one, of the usual files, unless others are named.

    Raises:
        ClusterError: there is no such file or context, or its credentials cannot be read.
    """
    try:
        contexts, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call] # half typed
        chosen = current if context is None else next((each for each in contexts if each["name"] == context), None)
        if chosen is None:
            names = ", ".join(each["name"] for each in contexts)
            raise ClusterError(f"kubeconfig has no context {context!r}; there are: {names}")
        with _complaints() as complaints:
            api = config.new_client_from_config(kubeconfig, chosen["name"])  # type: ignore[no-untyped-call] # half typed
    except UNREADABLE as error:
        where = kubeconfig or "$KUBECONFIG or ~/.kube/config"
        raise ClusterError(
            f"no cluster to talk to: {where}: {_first_line(error)}; make one with "
            "`gcloud container clusters get-credentials CLUSTER --location LOCATION`, or run with --local"
        ) from None
    if complaints:
        raise ClusterError(
            f"kubeconfig context {chosen['name']} gives no credentials: {complaints[0]}; log in again, or install the "
            "program that it names, such as with `gcloud components install gke-gcloud-auth-plugin`"
        )
    return Cluster(api, namespace or chosen["context"].get("namespace", "default"))


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Give what the loader of a kubeconfig logs: of a program that gets no credentials it says no more than that."""
    heard: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(handler)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _json(content: bytes) -> Object:
    """Return what the server said; a page that is no object, such as a proxy's, as a message."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": content.decode(errors="replace").strip()[:300]}
