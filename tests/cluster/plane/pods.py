"""A test's hand on fake pods: how they end, what they wrote, and which there are."""

import datetime
from contextlib import suppress
from pathlib import Path

from tests.cluster.plane.api import PATIENCE, Api, NotFoundError, Object

JOBSET = "jobset.sigs.k8s.io/jobset-name"
EXIT_CODE = "mdctl.test/exit-code"
"""As a label of a job, so of its pods too: each ends with this code as soon as it runs."""
STOP_CODE = "mdctl.test/stop-code"
"""The code that a pod ends with when it is told to stop; 75 unless a label says another."""
LINGER = "mdctl.test/linger"
"""How long it takes for that, such as 5s."""
WAITING = "mdctl.test/waiting"
"""The reason for which a pod's container never starts, such as ImagePullBackOff."""


class Pods:
    """The pods of a cluster, and the folder of what they wrote."""

    def __init__(self, api: Api, logs: Path) -> None:
        self._api = api
        self._logs = logs

    def of(self, namespace: str, job: str) -> list[Object]:
        """Return the pods of a job in the order of their slices and hosts."""
        return sorted(self._api.objects("Pod", namespace, labelSelector=f"{JOBSET}={job}"), key=place)

    def running(self, namespace: str, job: str, count: int, patience: float = PATIENCE) -> list[Object]:
        """Wait until exactly so many pods of a job are there, and all run; return them in order."""
        found = self._api.until(
            lambda pods: len(pods) == count and all(map(is_running, pods)),
            "Pod",
            namespace,
            patience,
            labelSelector=f"{JOBSET}={job}",
        )
        return sorted(found, key=place)

    def finish(self, pod: Object, code: int, message: str = "") -> None:
        """Let a running pod's worker end with an exit code, and last words."""
        marks = {EXIT_CODE: str(code), "mdctl.test/message": message}
        self._mark(pod, {"annotations": marks})

    def finish_all(self, namespace: str, job: str, code: int = 0) -> None:
        """Let every pod of a job end with an exit code."""
        for pod in self.of(namespace, job):
            self.finish(pod, code)

    def evict(self, pod: Object) -> None:
        """Evict a pod, as whoever drains its node does."""
        metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
        self._api.request("POST", path, {}, eviction)

    def write_log(self, pod: Object, text: str, container: str = "worker", *, at: str | None = None) -> None:
        """Add lines to what a pod's container wrote; `at` is a time in RFC 3339, now unless given."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        file = self._logs / namespace / name / f"{container}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        now = at or datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        with file.open("a", encoding="utf-8") as log:
            log.write("".join(f"{now} stdout F {line}\n" for line in text.splitlines()))

    def read_log(self, pod: Object, container: str = "worker", **query: str) -> str:
        """Return what a pod's container wrote, as the API server says."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        return self._api.text(
            "GET", f"api/v1/namespaces/{namespace}/pods/{name}/log", {"container": container, **query}
        )

    def _mark(self, pod: Object, metadata: Object) -> None:
        with suppress(NotFoundError):  # it ended otherwise meanwhile
            self._api.patch("Pod", pod["metadata"]["name"], {"metadata": metadata}, pod["metadata"]["namespace"])


def place(pod: Object) -> tuple[int, int]:
    """Return a pod's slice and host."""
    labels = pod["metadata"]["labels"]
    return int(labels["jobset.sigs.k8s.io/job-index"]), int(labels["batch.kubernetes.io/job-completion-index"])


def is_running(pod: Object) -> bool:
    """Say whether a pod runs, and nobody told it to stop."""
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
