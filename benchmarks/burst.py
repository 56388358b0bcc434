"""500 jobs submitted at once, by several people, to a real control plane; then `mdctl list` of them all.

Pods end as soon as they run. There are nodes for 32 jobs at a time, so most wait in the queue for their turn.

    every job ends well, without a restart, and none is there twice     else this fails
    requests to the API server for one submit, from its audit log       else, from ten on, this fails
    seconds until all are submitted, until all have ended, of `mdctl list`     printed, for others may use the machine

python benchmarks/burst.py [JOBS]        MDCTL_TEST_CLUSTER names the folder of a test cluster that runs already
"""

import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))  # for the test cluster, which is no package of mdctl

from harness import leave  # noqa: E402

from mdctl.cluster.apply import create  # noqa: E402
from mdctl.cluster.client import Cluster, connect  # noqa: E402
from mdctl.render.jobset import render_jobset  # noqa: E402
from tests.cluster.plane.nodes import Pool  # noqa: E402
from tests.cluster.plane.plane import ADMINS, Plane  # noqa: E402
from tests.cluster.plane.pods import EXIT_CODE, JOBSET  # noqa: E402
from tests.cluster.plane.queues import Queues  # noqa: E402
from tests.render.golden import recipe_job  # noqa: E402

RUNNING = "MDCTL_TEST_CLUSTER"
MDCTL = str(Path(sys.executable).with_name("mdctl"))
PEOPLE = 8
"""Who submit at the same time."""
MAX_REQUESTS = 9
PATIENCE = 1800.0
LISTINGS = 5
"""Of which the best is the one least disturbed."""

POOL = Pool(name="burst", family="v5p-8", slice="v5p-8", size=32, labels={"cloud.google.com/reservation-name": "burst"})
"""Nodes of its own, of one job each; tests on the same cluster keep theirs."""

Object = dict[str, Any]


def main(jobs: int) -> None:
    """Submit, wait for all ends, list; print what was seen."""
    with cluster() as plane, plane.nodes.extra(POOL), plane.fresh_namespace() as namespace:
        queues = Queues(plane.api, [POOL])
        queues.create_flavors()
        queues.create(namespace)
        seen = Pods(plane, namespace)
        began = perf_counter()
        requests = submit(plane, namespace, jobs)
        print(f"{jobs} jobs submitted in {perf_counter() - began:.1f} s by {PEOPLE} people at once")
        print(f"requests for one submit: {dict(sorted(Counter(requests).items()))} (requests: submits)")
        ends = wait(plane, namespace, jobs)
        print(f"all ended {perf_counter() - began:.1f} s after the first submit: {dict(Counter(ends.values()))}")
        twice = [name for name, uids in seen.stop().items() if len(uids) != 1]
        print(f"jobs whose pod was not made exactly once: {twice or 'none'}")
        times = sorted(listing(plane, namespace, jobs) for _ in range(LISTINGS))
        shown = ", ".join(f"{took:.2f} s ({computed:.2f} s of it its own)" for took, computed in times)
        print(f"`mdctl list` of {jobs} jobs, best first: {shown}; the aim is under 2 s")
    well = set(ends.values()) == {("Completed", 0)} and len(ends) == jobs and not twice
    leave(well and max(requests) <= MAX_REQUESTS)


@contextmanager
def cluster() -> Iterator[Plane]:
    """Yield the test cluster that is named, or one of this benchmark's own."""
    with ExitStack() as ending:
        if RUNNING in os.environ:
            folder = Path(os.environ[RUNNING])
        else:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="mdctl-burst-"))) / "cluster"
            control("up", f"--dir={folder}", f"--owner={os.getpid()}")
            ending.callback(control, "down", f"--dir={folder}")
        plane = Plane.load(folder)
        ending.callback(plane.close)
        yield plane


def control(*words: str) -> None:
    command = [sys.executable, "-m", "tests.cluster.plane", *words]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)


def submit(plane: Plane, namespace: str, jobs: int) -> list[int]:
    """Submit jobs from several threads, each with credentials of its own; return how many requests each job took."""

    def one_persons(person: int) -> list[int]:
        user = f"burst-{namespace}-{person}"
        connection = connect(kubeconfig=str(plane.kubeconfig_for(user, [ADMINS])), namespace=namespace)
        mine = range(person, jobs, PEOPLE)
        for index in mine:
            submit_one(connection, namespace, index)
        counts = requests_of_each(plane.requests(user))
        assert len(counts) == len(mine), f"{len(counts)} of {len(mine)} submits created a job"
        return counts

    with ThreadPoolExecutor(PEOPLE) as people:
        return [each for its in people.map(one_persons, range(min(PEOPLE, jobs))) for each in its]


def requests_of_each(entries: list[Object]) -> list[int]:
    """Return how many requests each of one person's submits took, from the audit log: creation is the last of them."""
    counts, asked = [], 0
    for entry in sorted(entries, key=lambda entry: str(entry["requestReceivedTimestamp"])):
        asked += 1
        created = entry["verb"] == "create" and entry.get("objectRef", {}).get("resource") == "jobsets"
        if created and "dryRun" not in entry["requestURI"]:
            counts.append(asked)
            asked = 0
    return counts


def submit_one(connection: Cluster, namespace: str, index: int) -> None:
    """Submit a job of one host that ends at once."""
    words = (f"run_name=burst-{index}", f"slice={POOL.slice}", "queue.name=accelerators")
    places = (f"capacity={{type: reservation, reservation: {POOL.name}}}", "output_dir=gs://my-bucket/burst")
    job = recipe_job("generate-wan", *words, *places)
    job.metadata.labels[EXIT_CODE] = "0"
    jobset = render_jobset(job)
    jobset["metadata"]["namespace"] = namespace
    answer = create(jobset, connection)
    assert answer["state"] == "created", answer


def wait(plane: Plane, namespace: str, jobs: int) -> dict[str, tuple[str, int]]:
    """Wait until all jobs have ended; return how each did, and after how many restarts."""

    def over(found: list[Object]) -> bool:
        return sum("terminalState" in each.get("status", {}) for each in found) == jobs

    found = plane.api.until(over, "JobSet", namespace, PATIENCE)
    return {
        each["metadata"]["name"]: (each["status"]["terminalState"], each["status"].get("restarts", 0)) for each in found
    }


class Pods:
    """Which pods each job has had, watched from the start."""

    def __init__(self, plane: Plane, namespace: str) -> None:
        self._plane = plane
        self._namespace = namespace
        self._uids: dict[str, set[str]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)  # it must not outlive a failure
        self._thread.start()

    def stop(self) -> dict[str, set[str]]:
        """Return the pods of each job by uid, once the watch has heard of everything until now."""
        self._over.set()
        metadata = {"name": "end", "namespace": self._namespace}
        spec = {"containers": [{"name": "none", "image": "none"}], "schedulingGates": [{"name": "mdctl.test/never"}]}
        self._plane.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self._thread.join()
        return self._uids

    def _watch(self) -> None:
        self._plane.api.until(self._see, "Pod", self._namespace, 2 * PATIENCE)

    def _see(self, pods: list[Object]) -> bool:
        for pod in pods:
            if job := pod["metadata"].get("labels", {}).get(JOBSET):
                self._uids.setdefault(job, set()).add(pod["metadata"]["uid"])
        return self._over.is_set() and any(pod["metadata"]["name"] == "end" for pod in pods)


def listing(plane: Plane, namespace: str, jobs: int) -> tuple[float, float]:
    """Return how long `mdctl list` takes and how long of that it computes, and see that it tells of every job."""
    command = [MDCTL, "list", "--kubeconfig", str(plane.kubeconfig), "--namespace", namespace, "-o", "name"]
    began, before = perf_counter(), computed_by_children()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    took, computed = perf_counter() - began, computed_by_children() - before
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) == jobs, f"it told of {len(ran.stdout.split())} jobs"
    return took, computed


def computed_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
