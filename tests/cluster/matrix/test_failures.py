"""Whatever befalls a job, its restarts, those of them that count and its end are as designed; no two attempts meet.

Cases run beside each other, each on node pools of its own: a reservation, which their nodes carry and its pods ask for.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic

import pytest

from mdctl.cluster.jobs import WORKLOAD_LABEL
from mdctl.render.jobset import render_jobset
from tests.cluster.matrix.harm import HARMS, LOOPS, PATIENCE, TAKEN_BACK, Harm, Outcome, Victim
from tests.cluster.matrix.history import History, all_run, uids
from tests.cluster.plane.nodes import POOL, Pool
from tests.cluster.plane.pods import JOBSET, place
from tests.cluster.plane.queues import Queues
from tests.render.golden import recipe_job

SLICE = "v5p-16"
HOSTS = 2
AT_ONCE = 32
"""Cases; more wait for their turn, or a small machine does nothing in time."""

QUEUES = {
    "alone": (),
    "queued": ("queue.name=accelerators",),
    "placed": (f"queue={{name: topology, topology: {POOL}}}",),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One harm to one kind of job."""

    harm_name: str
    harm: Harm
    slices: int
    queue: str

    @property
    def name(self):
        return f"{self.harm_name}-{self.slices}-{self.queue}"

    @property
    def hosts(self):
        return self.slices * HOSTS

    @property
    def pools(self):
        """Return the node pools that this job alone has, one for each slice."""
        labels = {"cloud.google.com/reservation-name": self.name}
        return [
            Pool(name=f"{self.name}-{index}", family=SLICE, slice=SLICE, size=HOSTS, labels=labels)
            for index in range(self.slices)
        ]

    def jobset(self, namespace):
        reservation = f"capacity={{type: reservation, reservation: {self.name}}}"
        words = (f"run_name={self.name}", f"slice={SLICE}", f"num_slices={self.slices}", reservation)
        places = ("output_dir=gs://my-bucket/trial", "data.path=gs://my-bucket/clips")
        job = recipe_job("train-wan", *words, *places, *QUEUES[self.queue], *self.harm.overrides)
        job.metadata.labels.update(self.harm.labels)
        jobset = render_jobset(job)
        jobset["metadata"]["namespace"] = namespace
        return jobset


def matrix(harms, slices, queues):
    return [
        Case(harm_name=name, harm=harm, slices=count, queue=queue)
        for name, harm in harms.items()
        for count in slices
        for queue in queues
    ]


ONE_OF_EACH = [
    *matrix(HARMS, [2], ["queued"]),
    *matrix(LOOPS, [1], ["queued"]),
]
ALL = matrix(HARMS | LOOPS, [1, 2], QUEUES)


def test_each_cause_comes_to_what_is_designed(plane):
    play_all(plane, ONE_OF_EACH)


@pytest.mark.matrix
def test_all_causes_come_to_what_is_designed_in_every_kind_of_job(plane):
    play_all(plane, ALL)


def play_all(plane, cases):
    """Play cases beside each other, and compare what they come to and how they came to it."""
    began, pools = monotonic(), [pool for case in cases for pool in case.pools]
    queues = Queues(plane.api, pools)
    with plane.claim([SLICE]), nodes_of(plane, pools), plane.fresh_namespace() as namespace, back_again(plane, pools):
        queues.create_flavors()
        queues.create(namespace)
        with History(plane.api, namespace) as history, ThreadPoolExecutor(AT_ONCE) as threads:
            futures = {case.name: threads.submit(play, plane, namespace, case) for case in cases}
            found = {name: future.exception() or future.result() for name, future in futures.items()}
        taken_back = {case.name: times_taken_back(plane, namespace, case) for case in cases}
        otherwise = [
            f"{case.name}: {found[case.name]}, taken back {taken_back[case.name]} times"
            for case in cases
            if not is_designed(found[case.name], case.harm.comes_to, taken_back[case.name])
        ]
        assert not otherwise, "\n".join(otherwise)
        assert history.attempts == {name: outcome.restarts + 1 for name, outcome in found.items()}
        assert not history.overlaps
    print(f"{len(cases)} cases came to what is designed, and are gone, in {monotonic() - began:.0f} s")
    names = [f"{name} ({found[name].restarts} restarts)" for name, times in taken_back.items() if times]
    print(f"taken back by Kueue meanwhile: {', '.join(names) or 'none'}")


def is_designed(found, designed, taken_back):
    """Say whether a case came to what is designed; each time that Kueue takes a job back restarts it once at most."""
    if not taken_back or isinstance(found, Exception):
        return found == designed
    restarts, counted = designed.restarts + taken_back, designed.counted
    return found.restarts <= restarts and found.counted <= counted and found.reason == designed.reason


def times_taken_back(plane, namespace, case):
    """Return how often Kueue took a job back for nodes that it lost."""
    if case.queue != "placed" or not case.harm.may_be_taken_back:
        return 0
    uid = plane.api.get("JobSet", case.name, namespace)["metadata"]["uid"]
    [workload] = plane.api.objects("Workload", namespace, labelSelector=f"{WORKLOAD_LABEL}={uid}")
    evictions = workload["status"].get("schedulingStats", {}).get("evictions", ())
    return sum(each["count"] for each in evictions if each["reason"] == TAKEN_BACK)


@contextmanager
def nodes_of(plane, pools):
    """Have node pools meanwhile."""
    with ThreadPoolExecutor(AT_ONCE) as threads, ExitStack() as there:
        for each in threads.map(plane.nodes.create, pools):
            assert each is None
        for pool in pools:
            there.enter_context(plane.nodes.extra(pool))
        yield


@contextmanager
def back_again(plane, pools):
    """Let no pod be on a lost node in the end, even where a case failed: it could not be removed."""
    try:
        yield
    finally:
        for pool in pools:
            plane.nodes.bring_back(pool)


def play(plane, namespace, case):
    """Let a job run, befall it, let it run again if it does, and return what it came to."""
    plane.api.create(case.jobset(namespace))
    if case.harm_name in HARMS:
        pods = until_running(plane, namespace, case)
        case.harm.befall(Victim(plane, pods, case.pools))
        if case.harm.comes_to.restarts:
            run_to_the_end(plane, namespace, case, uids(pods))
    ended = plane.api.until_one(
        lambda job: job.get("status", {}).get("terminalState"), "JobSet", case.name, namespace, PATIENCE
    )["status"]
    [why] = [each["reason"] for each in ended["conditions"] if each["type"] == ended["terminalState"]]
    return Outcome(ended.get("restarts", 0), ended.get("restartsCountTowardsMax", 0), why)


def run_to_the_end(plane, namespace, case, before):
    """Let all hosts be done, in the first attempt that is not taken back meanwhile."""
    phases = []
    while phases != ["Succeeded"] * case.hosts:
        its = uids(until_running(plane, namespace, case, before))
        plane.pods.finish_all(namespace, case.name)
        phases = until_stopped(plane, namespace, case, its)
        before |= its


def until_stopped(plane, namespace, case, its):
    """Wait until these pods are done, or one of them failed or went; return the phases of those that are there."""

    def phases(pods):
        return [pod["status"]["phase"] for pod in pods if pod["metadata"]["uid"] in its]

    def is_over(pods):
        found = phases(pods)
        return len(found) < len(its) or "Failed" in found or set(found) == {"Succeeded"}

    return phases(plane.api.until(is_over, "Pod", namespace, PATIENCE, labelSelector=f"{JOBSET}={case.name}"))


def until_running(plane, namespace, case, before=frozenset()):
    """Wait until all hosts run, none of them those before, and return their pods in order."""
    pods = plane.api.until(
        lambda pods: all_run(pods, case.hosts, before),
        "Pod",
        namespace,
        PATIENCE,
        labelSelector=f"{JOBSET}={case.name}",
    )
    return sorted(pods, key=place)
