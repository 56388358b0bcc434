"""A job in real pods, as a test sees it: submitted by the command line, watched at the API server and in the bucket."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from google.cloud import storage

from tests.cluster.plane.api import Object, holds
from tests.cluster.plane.pods import JOBSET
from tests.real import bucket
from tests.real.cluster import IMAGE, RealCluster

LONG = 2400.0
"""Seconds within which a job of a few dozen steps ends; two cores may be shared with much else."""

LOOK_AGAIN = 1.0

_never = threading.Event()

REHEARSAL = {
    **bucket.ENVIRONMENT,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiles in a third of the time
}
"""What lets pods compute on four CPU devices each, and find the bucket."""


class Jobs:
    """The jobs of a namespace."""

    def __init__(self, cluster: RealCluster, namespace: str, settings: Path) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.namespace = namespace
        self._settings = settings

    def mdctl(self, *words: str, check: bool = True, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command line as a person does who has this cluster's kubeconfig; `given` is piped in."""
        environment = {
            **os.environ,
            **bucket.ENVIRONMENT,
            "KUBECONFIG": str(self.cluster.plane.kubeconfig),
            "XDG_CONFIG_HOME": str(self._settings),
            "NO_COLOR": "1",
        }
        command = [str(Path(sys.executable).with_name("mdctl")), *words]
        run = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
        assert not check or run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"
        return run

    def told(self, verb: str, name: str, *words: str) -> str:
        """Return what a verb prints of a job, for a program to read."""
        return self.mdctl(verb, name, "--namespace", self.namespace, "-o", "json", *words).stdout

    def words(self, *words: str, name: str) -> list[str]:
        """Return what follows a verb so that pods of this namespace compute, and find the bucket."""
        where = ["--name", name, "--namespace", self.namespace, "--queue", "everything", "--image", IMAGE]
        return [*words, *where, "resources.cpu=1", *(f"environment.{key}={value}" for key, value in REHEARSAL.items())]

    def submit(self, *words: str, name: str) -> None:
        """Start a job."""
        self.mdctl("submit", *self.words(*words, name=name))

    def pods(self, name: str) -> list[Object]:
        """Return a job's pods, in the order of their slices and hosts."""
        return self.cluster.plane.pods.of(self.namespace, name)

    def running(self, name: str, count: int) -> list[Object]:
        """Wait until so many pods of a job run; return them in order."""
        return self.cluster.plane.pods.running(self.namespace, name, count, LONG)

    def log(self, pod: Object) -> str:
        """Return what a pod's worker wrote."""
        return self.cluster.plane.pods.read_log(pod)

    def until_step(self, name: str, step: int, count: int) -> list[Object]:
        """Wait until the pods of a job have trained so many steps; return them."""
        pods = self.running(name, count)

        def passed() -> bool:
            steps = [line["step"] for line in lines(self.log(pods[0])) if line.get("message") == "trained"]
            return bool(steps) and max(steps) >= step

        until(passed, LONG, f"step {step} of {name}")
        return pods

    def ended(self, name: str, patience: float = LONG) -> Object:
        """Wait until a job is over, one way or the other; return its JobSet."""
        return self.api.until_one(
            lambda found: holds(found, "Completed") or holds(found, "Failed"), "JobSet", name, self.namespace, patience
        )

    def completed(self, name: str) -> Object:
        """Wait until a job is over; fail, with the last words of its pods, unless all of it was done."""
        found = self.ended(name)
        assert holds(found, "Completed"), "\n".join([str(found["status"]), *map(self._last_words, self.pods(name))])
        return found

    def gone(self, pods: Sequence[Object]) -> None:
        """Wait until pods are no more."""
        names = {pod["metadata"]["name"] for pod in pods}
        self.api.until(
            lambda found: not names & {each["metadata"]["name"] for each in found}, "Pod", self.namespace, LONG
        )

    def kill(self, pod: Object, number: int) -> None:
        """Send a signal to the first process of a pod's worker, which nothing in the pod can do."""
        (status,) = pod["status"]["containerStatuses"]
        container = status["containerID"].rpartition("/")[2]
        node = next(each for each in self.cluster.nodes if each.name == pod["spec"]["nodeName"])
        os.kill(node.containerd.process(container), number)

    def delete(self, name: str) -> None:
        """Delete a job, and wait until its pods are gone."""
        self.api.delete("JobSet", name, self.namespace, propagationPolicy="Background")
        self.api.until_gone("Pod", self.namespace, LONG, labelSelector=f"{JOBSET}={name}")

    def delete_all(self, *, only_running: bool = False) -> None:
        """Delete the jobs of this namespace, and wait until their pods are gone."""
        for jobset in self.api.objects("JobSet", self.namespace):
            if not only_running or not (holds(jobset, "Completed") or holds(jobset, "Failed")):
                self.delete(jobset["metadata"]["name"])

    def _last_words(self, pod: Object) -> str:
        return f"{pod['metadata']['name']}:\n" + "\n".join(self.log(pod).splitlines()[-12:])


def until(condition: Callable[[], object], patience: float, what: str) -> None:
    """Ask until something holds; fail with what it was if it does not in time."""
    deadline = monotonic() + patience
    while not condition():
        assert monotonic() < deadline, f"not within {patience:g} s: {what}"
        _never.wait(LOOK_AGAIN)


def lines(text: str) -> list[Object]:
    """Return the JSON objects of a text, a line each; other lines are left out."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def blob(location: str) -> storage.Blob:
    """Return an object of `gs://bucket/path`."""
    name, _, path = location.removeprefix("gs://").partition("/")
    return client().bucket(name).blob(path)


def text(location: str) -> str:
    """Return what is at `gs://bucket/path`."""
    return str(blob(location).download_as_text())


def names_in(location: str) -> list[str]:
    """Return the names of all objects below `gs://bucket/path`."""
    name, _, path = location.removeprefix("gs://").partition("/")
    found = client().list_blobs(name, prefix=f"{path}/")
    return sorted(each.name.removeprefix(f"{path}/") for each in found)


def bucket_of(name: str) -> str:
    """Return a bucket as `gs://name`, where it is not there after making it."""
    if not client().bucket(name).exists():
        client().create_bucket(name)
    return f"gs://{name}"


def client() -> storage.Client:
    """Return a client of the bucket's emulator; the variables that name it are set for the whole test."""
    return storage.Client()


def losses(output: str) -> dict[int, float]:
    """Return the loss of each step that a job recorded."""
    return {record["step"]: record["loss"] for record in lines(text(f"{output}/metrics.jsonl"))}


def exits(output: str, attempt: int) -> dict[str, Object]:
    """Return how each host of an attempt ended, in their order, as the hosts themselves recorded it."""
    folder = f"{output}/attempts/{attempt:04d}"
    names = [name for name in names_in(folder) if name.endswith(".exit.json")]
    return {name.partition(".")[0]: json.loads(text(f"{folder}/{name}")) for name in names}
