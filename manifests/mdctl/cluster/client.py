"""The API server of a kubeconfig context: plain objects in and out, every refusal a clear error.

Objects are dicts, as `mdctl.render` makes them, so what was checked is what is sent; the server refuses unknown fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from mdctl.cluster.refusal import explain
from mdctl.spec.errors import ClusterError

Object = dict[str, Any]

FIELD_MANAGER = "mdctl"
TIMEOUT = (10.0, 60.0)  # seconds to connect, and to answer

UNREADABLE = (config.ConfigException, yaml.YAMLError, OSError, AttributeError, KeyError, TypeError)
"""What reading a file that is no kubeconfig raises."""

_FOLDERS = {
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): "apis/jobset.x-k8s.io/v1alpha2/namespaces/{}/jobsets",
    ("batch/v1", "Job"): "apis/batch/v1/namespaces/{}/jobs",
    ("v1", "Pod"): "api/v1/namespaces/{}/pods",
}


@dataclass(frozen=True)
class Cluster:
    """A connection, and the namespace of objects that name none."""

    api: client.ApiClient
    namespace: str

    def find(self, like: Object) -> Object | None:
        """Return the object of the same kind, namespace and name, where there is one.

        Raises:
            ClusterError: the server cannot be asked, or refuses to say.
        """
        status, answer = self._request("GET", f"{self._folder(like)}/{like['metadata']['name']}")
        if status == 404 and answer.get("details", {}).get("name"):
            return None
        return self._accepted(status, answer, like)

    def create(self, wanted: Object, *, dry_run: bool = False) -> Object:
        """Create an object, or with `dry_run` only let the server and its webhooks judge it.

        Raises:
            ClusterError: the server cannot be asked, or refuses it; `status` 409 where the name is taken.
        """
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        status, answer = self._request("POST", self._folder(wanted), query, wanted)
        return self._accepted(status, answer, wanted)

    def _folder(self, thing: Object) -> str:
        namespace = thing["metadata"].get("namespace", self.namespace)
        return _FOLDERS[thing["apiVersion"], thing["kind"]].format(namespace)

    def _accepted(self, status: int, answer: Object, thing: Object) -> Object:
        if 200 <= status < 300:
            return answer
        namespace = thing["metadata"].get("namespace", self.namespace)
        raise explain(status, answer, f"{thing['kind']} {namespace}/{thing['metadata']['name']}")

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> tuple[int, Object]:
        serialized = self.api.param_serialize(
            method,
            f"/{path}",
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self.api.call_api(*serialized, _request_timeout=TIMEOUT)
            content = response.read()  # type: ignore[no-untyped-call] # as the next two: a package half typed
        except (HTTPError, client.ApiException) as error:
            reason = str(getattr(error, "reason", error)).rpartition(": ")[2]
            raise ClusterError(
                f"no cluster answers at {self.api.configuration.host}: {reason}; is it running, and is "
                "`kubectl config current-context` the one you mean?"
            ) from None
        return response.status, _json(content)


def connect(context: str | None = None, kubeconfig: str | None = None) -> Cluster:
    """Return the cluster of a kubeconfig context: the current one, of the usual files, unless others are named.

    Raises:
        ClusterError: there is no such file or context, or its credentials cannot be read.
    """
    try:
        contexts, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call] # as above
        chosen = current if context is None else next((each for each in contexts if each["name"] == context), None)
        if chosen is None:
            names = ", ".join(each["name"] for each in contexts)
            raise ClusterError(f"kubeconfig has no context {context!r}; there are: {names}")
        api = config.new_client_from_config(kubeconfig, chosen["name"])  # type: ignore[no-untyped-call] # as above
    except UNREADABLE as error:
        where = kubeconfig or "$KUBECONFIG or ~/.kube/config"
        raise ClusterError(
            f"no cluster to talk to: {where}: {_first_line(error)}; make one with "
            "`gcloud container clusters get-credentials CLUSTER --location LOCATION`, or run with --local"
        ) from None
    return Cluster(api, chosen["context"].get("namespace", "default"))


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
