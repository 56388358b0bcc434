"""Everything that pods did in a namespace, in the order in which the server tells it.

with History(plane.api, namespace) as history:
    ...
assert history.attempts["trial"] == 2
assert not history.overlaps
"""

import threading
from collections import defaultdict
from contextlib import suppress

from tests.cluster.plane.api import ApiError
from tests.cluster.plane.pods import JOBSET, is_running, place

ATTEMPT = "jobset.sigs.k8s.io/restart-attempt"
PATIENCE = 3600.0

END = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "containers": [
            {
                "name": "none",
                "image": "none",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
        "schedulingGates": [{"name": "mdctl.test/never"}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    },
}
"""A pod that never runs and that any namespace lets in: the watch hears of it, and looks up."""


class History:
    """A watch of all pods of a namespace, from here to the end of the block."""

    def __init__(self, api, namespace):
        self.hosts = defaultdict(lambda: defaultdict(set))
        """Of each job's attempts the pods of each host, by uid."""
        self.overlaps = set()
        """Pods of a later attempt that were there beside those of an earlier one, or a host that ran twice at once."""
        self._api = api
        self._namespace = namespace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        with suppress(ApiError):  # the namespace is gone: the watch has heard
            self._api.create({**END, "metadata": {"name": "end", "namespace": self._namespace}})
        self._thread.join()

    @property
    def attempts(self):
        """Return how many attempts each job made."""
        return {job: len({attempt for attempt, _ in hosts}) for job, hosts in self.hosts.items()}

    def _watch(self):
        self._api.until(self._see, "Pod", self._namespace, PATIENCE)

    def _see(self, pods):
        jobs = defaultdict(list)
        for pod in pods:
            if JOBSET in pod["metadata"].get("labels", {}):
                jobs[pod["metadata"]["labels"][JOBSET]].append(pod)
        for job, its in jobs.items():
            self._see_job(job, its)
        return self._over.is_set()

    def _see_job(self, job, pods):
        attempts = sorted({_attempt(pod) for pod in pods})
        if len(attempts) > 1:
            self.overlaps.add(f"{job}: attempts {attempts} at once")
        running = [place(pod) for pod in pods if pod["status"]["phase"] == "Running"]
        if len(running) > len(set(running)):
            self.overlaps.add(f"{job}: a host runs twice")
        for pod in pods:
            self.hosts[job][_attempt(pod), place(pod)].add(pod["metadata"]["uid"])


def uids(pods):
    """Return who the pods are, whatever they are called."""
    return {pod["metadata"]["uid"] for pod in pods}


def all_run(pods, count, before=frozenset()):
    """Say whether so many pods are there, all run, and none was there before."""
    return len(pods) == count and all(map(is_running, pods)) and not uids(pods) & before


def _attempt(pod):
    return int(pod["metadata"]["labels"][ATTEMPT])
