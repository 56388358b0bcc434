"""A stand-in for GKE's webhook, which tells TPU pods of Indexed Jobs their place.

    TPU_WORKER_ID, TPU_WORKER_HOSTNAMES                     the Job is Indexed, its pods have a subdomain, more than one
                                                            runs at a time, and they ask for google.com/tpu
    MEGASCALE_COORDINATOR_ADDRESS, _NUM_SLICES, _SLICE_ID   and they belong to a JobSet of several such Jobs

A variable that a container sets itself is left alone.

python -m tests.cluster.plane.gke PORT CERTIFICATE KEY KUBECONFIG
"""

import base64
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.plane.api import Api, Object

INDEX = "batch.kubernetes.io/job-completion-index"
GROUP = "jobset.sigs.k8s.io/replicatedjob-name"
JOBSET = "jobset.sigs.k8s.io/jobset-name"


def variables(pod: Object, parallelism: int) -> dict[str, str]:
    """Return what GKE adds to a pod whose Job runs so many at a time."""
    labels = pod["metadata"].get("labels", {})
    subdomain = pod["spec"].get("subdomain")
    if INDEX not in labels or not subdomain or parallelism < 2:
        return {}
    jobset, group = labels.get(JOBSET), labels.get(GROUP)
    job = labels["batch.kubernetes.io/job-name"]
    hosts = ",".join(f"{job}-{index}.{subdomain}" for index in range(parallelism))
    found = {"TPU_WORKER_ID": labels[INDEX], "TPU_WORKER_HOSTNAMES": hosts}
    replicas = int(labels.get("jobset.sigs.k8s.io/replicatedjob-replicas", "1"))
    if jobset and replicas > 1:
        found["MEGASCALE_COORDINATOR_ADDRESS"] = f"{jobset}-{group}-0-0.{subdomain}"
        found["MEGASCALE_NUM_SLICES"] = str(replicas)
        found["MEGASCALE_SLICE_ID"] = labels["jobset.sigs.k8s.io/job-index"]
    return found


def patches(pod: Object, found: dict[str, str]) -> list[Object]:
    """Return the JSON patch that adds variables to each container that asks for TPU chips and does not set them."""
    operations: list[Object] = []
    for index, container in enumerate(pod["spec"]["containers"]):
        if not _asks_for_tpu(container):
            continue
        path = f"/spec/containers/{index}/env"
        there = container.get("env", [])
        if not there:
            operations.append({"op": "add", "path": path, "value": []})
        names = {each["name"] for each in there}
        operations += [
            {"op": "add", "path": f"{path}/-", "value": {"name": name, "value": value}}
            for name, value in found.items()
            if name not in names
        ]
    return operations


def _asks_for_tpu(container: Object) -> bool:
    return "google.com/tpu" in container.get("resources", {}).get("limits", {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def do_POST(self) -> None:
        """Answer one AdmissionReview."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        response: Object = {"uid": request["uid"], "allowed": True}
        if operations := self._operations(request["object"], request["namespace"]):
            patch = base64.b64encode(json.dumps(operations).encode()).decode()
            response |= {"patchType": "JSONPatch", "patch": patch}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        content = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _operations(self, pod: Object, namespace: str) -> list[Object]:
        if not any(map(_asks_for_tpu, pod["spec"]["containers"])):
            return []
        owner = next((each for each in pod["metadata"].get("ownerReferences", []) if each["kind"] == "Job"), None)
        job = owner and self.api.find("Job", owner["name"], namespace)
        return patches(pod, variables(pod, job["spec"]["parallelism"])) if job else []

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests that went well."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(port: str, certificate: str, key: str, kubeconfig: str) -> None:
    """Serve until killed."""
    _Handler.api = Api(Path(kubeconfig))
    server = _Server(("127.0.0.1", int(port)), _Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
