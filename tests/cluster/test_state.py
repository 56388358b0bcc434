"""What is said of jobs whose objects were taken from a real control plane: see `tests.cluster.record`."""

import copy
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.cluster.readable import NotReadable
from mdctl.cluster.snapshot import Snapshot, assemble
from mdctl.cluster.state import Phase, summarise
from tests.cluster.record import load_snapshot, names

SITUATIONS = list(names())


@pytest.mark.parametrize(
    ("name", "phase", "reason"),
    [
        ("queued", Phase.QUEUED, "it waits in queue accelerators"),
        ("preempted", Phase.QUEUED, "it waits in queue accelerators, again: it was preempted"),
        ("suspended", Phase.SUSPENDED, "it was suspended, and `mdctl resume trial` lets it go on"),
        ("unmade", Phase.PENDING, "2 of 2 pods are not there yet"),
        ("unplaced", Phase.PENDING, "1 of 2 pods are not there yet"),
        ("unpulled", Phase.STARTING, "0 of 2 hosts run"),
        ("running", Phase.RUNNING, "2 hosts run"),
        ("lost", Phase.RUNNING, "host 1 is on node gke-test-tpu7x-16-1, which does not answer"),
        ("evicted", Phase.RUNNING, "host 1 is told to stop: Eviction API: evicting"),
        (
            "stopping",
            Phase.RESTARTING,
            "host 1 left with 1: failed: a fault in mdctl or in the machine; 1 pod yet to stop",
        ),
        ("restarted", Phase.RUNNING, "attempt 2: 2 hosts run"),
        ("completed", Phase.COMPLETED, "every host is done"),
        ("failed_by_mistake", Phase.FAILED, "host 1 left with 2: the request cannot work as written"),
        (
            "failed_too_often",
            Phase.FAILED,
            "host 1 left with 134: aborted, as native code does at a fault (SIGABRT); its 1 restarts are used up",
        ),
        ("deleting", Phase.DELETING, "2 pods yet to stop"),
    ],
)
def test_each_situation_has_its_phase_and_its_sentence(name, phase, reason):
    state = summarise(load_snapshot(name))
    assert (state.phase, state.reason) == (phase, reason)


def test_every_situation_is_looked_at():
    rows = next(mark for mark in test_each_situation_has_its_phase_and_its_sentence.pytestmark).args[1]
    assert [row[0] for row in sorted(rows)] == SITUATIONS


def test_a_host_is_told_by_its_place_node_and_container():
    [host] = summarise(load_snapshot("failed_by_mistake")).hosts
    assert (host.number, host.slice, host.index, host.container) == (1, 0, 1, "exited 2")


def test_what_failed_first_is_shown_with_its_last_lines():
    failure = summarise(load_snapshot("failed_by_mistake")).first_failure
    assert (failure.number, failure.exit_code, failure.node) == (1, 2, "gke-test-tpu7x-16-1")
    assert failure.lines == ("reading gs://bucket/clips", "error: there is no such bucket")


def test_a_failure_is_known_from_the_job_where_its_pod_is_gone():
    snapshot = dataclasses.replace(load_snapshot("failed_by_mistake"), pods=[])
    failure = summarise(snapshot).first_failure
    assert (failure.number, failure.exit_code, failure.lines) == (1, 2, ())


def test_restarts_are_counted_as_the_jobset_counts_them():
    restarted, failed = (summarise(load_snapshot(name)) for name in ("restarted", "failed_too_often"))
    assert (restarted.restarts, restarted.counted, restarted.max_restarts) == (1, 0, 5)
    assert (failed.restarts, failed.counted, failed.max_restarts) == (1, 1, 1)


def test_times_are_those_of_the_attempt_and_of_the_end():
    state = summarise(load_snapshot("completed"))
    assert state.created <= state.started <= state.ended
    assert summarise(load_snapshot("queued")).started is None


def test_conditions_of_the_jobset_and_the_workload_are_there():
    state = summarise(load_snapshot("preempted"))
    assert {("JobSet", "Suspended"), ("Workload", "Preempted")} <= {(each.kind, each.type) for each in state.conditions}


def end(pod, code, second, *, told=False, disruption=None, reason="Error"):
    """Let a pod have ended."""
    finished = {"exitCode": code, "reason": reason, "finishedAt": f"2026-11-25T10:00:{second:02}Z"}
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": finished}
    pod["status"]["phase"] = "Failed"
    if told:
        pod["metadata"]["deletionTimestamp"] = "2026-11-25T10:00:00Z"
    if disruption:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "x", "message": disruption}
        pod["status"]["conditions"].append(condition)


@pytest.mark.parametrize(
    ("ends", "number", "meaning"),
    [
        # the first in time, a lost peer only if nothing else failed, one that was told to stop last
        ([(1, 5, {}), (134, 4, {})], 1, "aborted"),
        ([(76, 3, {}), (134, 4, {})], 1, "aborted"),
        ([(76, 3, {}), (76, 4, {})], 0, "another host was lost"),
        ([(143, 3, {"told": True}), (1, 4, {})], 1, "failed: a fault"),
        ([(75, 3, {"told": True, "disruption": "drained"}), (76, 2, {})], 0, "preempted, and saved; drained"),
        ([(137, 3, {"reason": "OOMKilled"}), (76, 2, {})], 0, "out of memory: the machine's, not the accelerator's"),
    ],
)
def test_the_failure_that_explains_the_others_comes_first(ends, number, meaning):
    snapshot = load_snapshot("running")
    for pod, (code, second, more) in zip(snapshot.pods, ends, strict=True):
        end(pod, code, second, **more)
    failure = summarise(snapshot).first_failure
    assert failure.number == number
    assert failure.meaning.startswith(meaning)


def test_hosts_of_the_second_slice_are_numbered_after_the_first():
    snapshot = load_snapshot("running")
    snapshot.jobset["spec"]["replicatedJobs"][0]["replicas"] = 2
    second = copy.deepcopy(snapshot.pods)
    for pod in second:
        pod["metadata"]["labels"]["jobset.sigs.k8s.io/job-index"] = "1"
    state = summarise(dataclasses.replace(snapshot, pods=[*second, *snapshot.pods]))
    assert [(host.number, host.slice, host.index) for host in state.hosts] == [
        (0, 0, 0),
        (1, 0, 1),
        (2, 1, 0),
        (3, 1, 1),
    ]
    assert (state.ready, state.total) == (4, 4)


def test_pods_of_the_attempt_before_keep_the_next_one_waiting():
    snapshot = load_snapshot("stopping")
    snapshot.jobset["status"]["restarts"] = 1
    state = summarise(dataclasses.replace(snapshot, jobs=[]))
    assert (state.phase, state.reason) == (
        Phase.RESTARTING,
        "attempt 2 begins when the one before is gone; 1 pod yet to stop",
    )
    assert ([host.number for host in state.leaving], state.hosts) == ([0, 1], ())


def test_a_retried_index_counts_as_its_newest_pod():
    snapshot = load_snapshot("running")
    before = copy.deepcopy(snapshot.pods[1])
    end(before, 1, 1)
    before["metadata"]["creationTimestamp"] = "2026-11-25T00:00:00Z"
    state = summarise(dataclasses.replace(snapshot, pods=[*snapshot.pods, before]))
    assert (state.phase, state.ready, state.first_failure.exit_code) == (Phase.RUNNING, 2, 1)


def test_hosts_that_work_alone_run_while_others_wait():
    snapshot = load_snapshot("unplaced")
    [waits, runs] = snapshot.pods[0], load_snapshot("running").pods[1]
    job = snapshot.jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    snapshot = dataclasses.replace(snapshot, pods=[waits, runs])
    assert summarise(snapshot).phase is Phase.PENDING
    job["backoffLimitPerIndex"] = 5
    state = summarise(snapshot)
    assert (state.phase, state.reason) == (Phase.RUNNING, "1 of 2 hosts run, or are done")


@pytest.mark.parametrize(
    "name", [name for name in SITUATIONS if name not in ("lost", "evicted", "stopping", "deleting")]
)
def test_a_list_which_sees_fewer_pods_says_the_same(name):
    whole = load_snapshot(name)
    pending = [pod for pod in whole.pods if pod["status"]["phase"] == "Pending"]
    few, all_ = (summarise(each) for each in (dataclasses.replace(whole, pods=pending, whole=False), whole))
    assert (few.phase, few.ready, few.total) == (all_.phase, all_.ready, all_.total)


@pytest.mark.parametrize("name", ["running", "restarted", "completed", "failed_by_mistake", "failed_too_often"])
def test_a_list_asks_for_no_jobs_of_what_is_settled(name):
    whole = load_snapshot(name)
    few, all_ = (summarise(each) for each in (dataclasses.replace(whole, jobs=[], pods=[], whole=False), whole))
    assert (few.phase, few.ready, few.total) == (all_.phase, all_.ready, all_.total)


def test_a_list_believes_pods_before_the_counts_of_their_job():
    snapshot = load_snapshot("running")
    for job in snapshot.jobs:
        job["status"]["ready"] = 0  # it is told of later than its pods
    assert summarise(dataclasses.replace(snapshot, pods=[], whole=False)).phase is Phase.RUNNING


def test_a_workload_that_may_not_be_read_leaves_the_rest():
    snapshot = dataclasses.replace(load_snapshot("queued"), workload=NotReadable(what="Workloads", why="may not"))
    assert summarise(snapshot).phase is Phase.QUEUED


def test_objects_of_all_jobs_are_put_together():
    queued, running = load_snapshot("queued"), load_snapshot("running")
    running.jobset["metadata"]["name"] = "another"
    found = assemble(
        [queued.jobset, running.jobset],
        [*queued.jobs, *running.jobs],
        [*queued.pods, *running.pods],
        [queued.workload, running.workload],
    )
    assert [(each.name, summarise(each).phase) for each in found] == [
        ("another", Phase.RUNNING),
        ("trial", Phase.QUEUED),
    ]


def cut(value, choose):
    """Return an object without some of its fields below `spec` and `metadata`."""
    if isinstance(value, dict):
        return {key: cut(each, choose) for key, each in value.items() if choose()}
    return [cut(each, choose) for each in value] if isinstance(value, list) else value


@given(st.sampled_from(SITUATIONS), st.randoms(use_true_random=False))
def test_every_object_without_some_of_its_status_has_a_state(name, random):
    snapshot = load_snapshot(name)

    def damaged(thing):
        return thing and {**thing, "status": cut(thing.get("status", {}), lambda: random.random() < 0.8)}

    state = summarise(
        Snapshot(
            jobset=damaged(snapshot.jobset),
            jobs=[damaged(each) for each in snapshot.jobs],
            pods=[damaged(each) for each in snapshot.pods],
            workload=damaged(snapshot.workload),
        )
    )
    assert state.reason
    assert 0 <= state.ready <= state.total
