"""Why a job does not run, from what controllers and kubelets say, without a cluster.

Messages of Kueue and of the scheduler are those of the test cluster; those of kubelets are of real ones.
"""

import dataclasses
from decimal import Decimal

import pytest

from mdctl.cluster.admission import why_not_admitted
from mdctl.cluster.amounts import amount, shown
from mdctl.cluster.creation import meaning
from mdctl.cluster.events import Event, read_events
from mdctl.cluster.pending import Surroundings, explain
from mdctl.cluster.phase import Phase
from mdctl.cluster.queues import QueueView, quotas, requests, waiting
from mdctl.cluster.readable import NotReadable
from mdctl.cluster.starting import why_not_started
from mdctl.cluster.state import summarise
from mdctl.cluster.verdicts import Verdict, preemptions, read_verdicts
from tests.cluster.record import load, load_snapshot

OTHERS = (
    "flavor tpu7x doesn't match node affinity, flavor v5p doesn't match node affinity, untolerated "
    "taint {nvidia.com/gpu "
    "present NoSchedule <nil>} in flavor a3-mega"
)
FULL = "insufficient unused quota for google.com/tpu in flavor v5e-8, 8 more needed"
START = "couldn't assign flavors to pod set slice: "


@pytest.mark.parametrize(
    ("message", "verdicts"),
    [
        (f"{START}{OTHERS}", [Verdict.OTHER_NODES] * 3),
        (f"{START}{OTHERS}, {FULL}", [*[Verdict.OTHER_NODES] * 3, Verdict.FULL]),
        (f"{START}resource cpu unavailable in ClusterQueue", [Verdict.UNCOVERED]),
        (
            f"{START}insufficient quota for google.com/tpu in flavor v5p, previously considered podsets requests (0) + "
            "current podset request (64) > maximum capacity (32), flavor v5e-8 doesn't match node affinity",
            [Verdict.TOO_SMALL, Verdict.OTHER_NODES],
        ),
        (
            f"{START}insufficient quota for nvidia.com/gpu in flavor a3, request > maximum capacity (64 > 32)",
            [Verdict.TOO_SMALL],
        ),
        (
            f'{START}topology "gke-tpu" allows to fit only 1 out of 2 slice(s). Total nodes: 16; excluded: resource '
            '"google.com/tpu": 8',
            [Verdict.NO_DOMAIN],
        ),
        ("The workload is deactivated", []),
    ],
)
def test_verdicts_are_read_from_what_kueue_says(message, verdicts):
    assert [each.verdict for each in read_verdicts(message)] == verdicts


def test_a_verdict_names_flavour_and_amounts():
    [tried] = read_verdicts(f"{START}{FULL}. Pending the preemption of 2 workload(s)")
    assert (tried.flavor, tried.resource, tried.more, str(tried)) == (
        "v5e-8",
        "google.com/tpu",
        "8",
        "8 more TPU chips needed",
    )
    assert preemptions(f"{START}{FULL}. Pending the preemption of 2 workload(s)") == 2
    [small] = read_verdicts(
        "insufficient quota for google.com/tpu in flavor v5p, previously considered podsets requests "
        "(0) + current podset "
        "request (64) > maximum capacity (32)"
    )
    assert (small.flavor, small.wanted, small.most) == ("v5p", "64", "32")


def workload(name, *, priority=0, created="2026-11-25T10:00:00Z", namespace="research", said=None, **spec):
    """Return a Workload that waits."""
    owner = {"kind": "JobSet", "name": name, "uid": f"job-{name}", "controller": True}
    condition = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": said}
    return {
        "kind": "Workload",
        "metadata": {
            "name": f"jobset-{name}-0",
            "namespace": namespace,
            "uid": f"workload-{name}",
            "creationTimestamp": created,
            "ownerReferences": [owner],
        },
        "spec": {"queueName": "tpu", "priority": priority, "active": True, **spec},
        "status": {
            "conditions": [condition] if said else [],
            "resourceRequests": [{"name": "slice", "resources": {"google.com/tpu": "8"}}],
        },
    }


def view(*workloads, **more):
    local_queue = {
        "metadata": {"name": "tpu", "namespace": "research"},
        "spec": {"clusterQueue": "all"},
        "status": {"flavorsReservation": [{"name": "v5e-8", "resources": []}]},
    }
    found = {
        "name": "tpu",
        "namespace": "research",
        "local_queues": [local_queue],
        "cluster_queue": NotReadable(what="ClusterQueue all", why="these credentials may not"),
        "workloads": list(workloads),
        "flavors": [],
    }
    return QueueView(**found | more)


def why(mine, queue, events=()):
    snapshot = load_snapshot("queued")
    return why_not_admitted(dataclasses.replace(snapshot, workload=mine), queue, events)


def test_jobs_wait_by_priority_and_then_by_age():
    late, early, high = (
        workload("late", created="2026-11-25T12:00:00Z"),
        workload("early", created="2026-11-25T09:00:00Z"),
        workload("high", priority=10, created="2026-11-25T13:00:00Z"),
    )
    idle = workload("idle", active=False)
    assert [each["metadata"]["name"] for each in waiting([late, idle, early, high])] == [
        "jobset-high-0",
        "jobset-early-0",
        "jobset-late-0",
    ]


def test_one_that_got_no_pods_in_time_stands_at_the_end_again():
    first, second = workload("first"), workload("second", created="2026-11-25T11:00:00Z")
    evicted = {"type": "Evicted", "status": "True", "reason": "PodsReadyTimeout", "message": ""}
    first["status"]["conditions"] = [{**evicted, "lastTransitionTime": "2026-11-25T12:00:00Z"}]
    assert [each["metadata"]["name"] for each in waiting([first, second])] == ["jobset-second-0", "jobset-first-0"]


def test_who_comes_first_is_named_with_those_of_higher_priority():
    mine = workload("mine", said=f"{START}{OTHERS}, {FULL}")
    others = [
        workload("a", created="2026-11-25T08:00:00Z"),
        workload("b", priority=5, created="2026-11-25T11:00:00Z", namespace="other"),
        *(workload(f"c{index}", created=f"2026-11-25T09:00:0{index}Z") for index in range(3)),
    ]
    found = why(mine, view(mine, *others))
    assert found.sentence == (
        "queue tpu is full: of TPU chips (flavour v5e-8) 8 more are needed; 5 jobs wait before it (1 "
        "of higher priority "
        "than its 0): other/b, a, c0 and 2 more"
    )
    assert [row["name"] for row in found.table] == ["other/b", "a", "c0", "c1", "c2", "mine"]


def test_one_that_takes_the_place_of_others_waits_until_they_have_saved():
    mine = workload("mine", said=f"{START}{OTHERS}, {FULL}. Pending the preemption of 1 workload(s)")
    victim = workload("victim")
    message = f"Preempted to accommodate a workload (UID: {mine['metadata']['uid']}, JobUID: x) due to prioritization"
    victim["status"]["conditions"] = [{"type": "Preempted", "status": "True", "message": message}]
    assert why(mine, view(mine, victim)).sentence == (
        "it takes the place of 1 job of lower priority, and waits until that has saved and stopped: victim"
    )


def test_one_that_kueue_has_not_come_to_is_told_its_place():
    mine = workload("mine")
    found = why(mine, view(mine, workload("a", created="2026-11-25T08:00:00Z")))
    assert found.sentence == "it waits in queue tpu; 1 job waits before it: a"


def test_a_try_that_left_out_the_right_flavour_is_not_taken_for_all():
    mine = workload("mine", said=f"{START}{OTHERS}")
    assert "it is the next in line" in why(mine, view(mine)).sentence
    told = (
        'topology "gke-tpu" doesn\'t allow to fit any of 1 slice(s). Total nodes: 4; excluded: resource '
        '"google.com/tpu": 4'
    )
    event = {
        "metadata": {},
        "involvedObject": {"kind": "Workload", "name": "jobset-trial-abcde"},
        "reason": "Pending",
        "message": f"{START}{told}",
        "eventTime": "2027-01-01T00:00:00Z",
    }
    events = read_events(load_snapshot("queued"), [event])
    assert "there is quota, but no part of the cluster has room for a whole slice now (topology" in (
        why(mine, view(mine), events).sentence
    )
    nothing = view(mine, local_queues=[{**view().local_queues[0], "status": {}}])
    assert "has nothing for nodes with gke-tpu-accelerator=tpu7x" in why(mine, nothing).sentence


def test_borrowing_is_bounded_by_the_cohort_only_where_nothing_else_bounds_it():
    resources = [
        {"name": "google.com/tpu", "nominalQuota": "8"},
        {"name": "nvidia.com/gpu", "nominalQuota": "8", "borrowingLimit": "4"},
    ]
    groups = [{"coveredResources": [], "flavors": [{"name": "f", "resources": resources}]}]
    alone, together = ({"spec": {"resourceGroups": groups, **more}} for more in ({}, {"cohortName": "all"}))
    assert [each.most for each in quotas(alone)] == [8, 8]
    assert [each.most for each in quotas(together)] == [None, 12]


def test_what_a_workload_asks_for_is_known_before_kueue_has_looked():
    template = {
        "spec": {"containers": [{"resources": {"limits": {"google.com/tpu": "4"}, "requests": {"cpu": "500m"}}}]}
    }
    fresh = {"spec": {"podSets": [{"count": 4, "template": template}]}}
    assert requests(fresh) == {"google.com/tpu": 16, "cpu": 2}


def test_amounts_are_shown_as_people_read_them():
    assert [shown("memory", amount("1536Mi")), shown("cpu", amount("2500m")), shown("google.com/tpu", Decimal(8))] == [
        "1.5Gi",
        "2.5",
        "8",
    ]


def waits(reason, message, name="unpulled"):
    """Return the hosts of a job whose containers wait for a reason."""
    snapshot = load_snapshot(name)
    for pod in snapshot.pods:
        for status in pod["status"]["containerStatuses"]:
            status["state"] = {"waiting": {"reason": reason, "message": message}}
    return summarise(snapshot).hosts


def told(reason, message, kind="Pod"):
    event = {
        "metadata": {},
        "type": "Warning",
        "involvedObject": {"kind": kind, "name": "trial-slice-0-0-abcde"},
        "reason": reason,
        "message": message,
        "eventTime": "2027-01-01T00:00:00Z",
    }
    return read_events(load_snapshot("unpulled"), [event])


IMAGE = "mdctl:0.1.0-tpu"


@pytest.mark.parametrize(
    ("reason", "message", "events", "sentence"),
    [
        (
            "ImagePullBackOff",
            f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = NotFound desc = '
            "failed to pull and unpack "
            f'image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found',
            [],
            f"image {IMAGE} cannot be pulled on 2 of 2 hosts: failed to pull and unpack image "
            f'"{IMAGE}": failed to resolve '
            f'reference "{IMAGE}": {IMAGE}: not found; is it there, and may the nodes read it (imagePullSecrets)?',
        ),
        (
            "ImagePullBackOff",
            f'Back-off pulling image "{IMAGE}"',
            told("Failed", f'Failed to pull image "{IMAGE}": rpc error: code = Unknown desc = 403 Forbidden'),
            f"image {IMAGE} cannot be pulled on 2 of 2 hosts: 403 Forbidden; is it there",
        ),
        (
            "CreateContainerConfigError",
            'secret "hub" not found',
            [],
            'the container cannot be made on 2 of 2 hosts: secret "hub" not found; create that '
            "secret in namespace research",
        ),
        (
            "CreateContainerConfigError",
            "couldn't find key token in Secret research/hub",
            [],
            "the container cannot be made on 2 of 2 hosts: couldn't find key token in Secret research/hub",
        ),
        (
            "ContainerCreating",
            "",
            told("FailedMount", 'MountVolume.SetUp failed for volume "secret-0" : secret "notes" not found'),
            'the container of 1 pod cannot be made: MountVolume.SetUp failed for volume "secret-0" : '
            'secret "notes" not '
            "found; create that secret in namespace research",
        ),
        (
            "ContainerCreating",
            "",
            [],
            "2 hosts on gke-test-tpu7x-16-0, gke-test-tpu7x-16-1 start (ContainerCreating): images "
            "are pulled and volumes "
            "mounted",
        ),
    ],
)
def test_what_containers_wait_for_is_told_in_the_kubelets_words(reason, message, events, sentence):
    found = why_not_started("research", waits(reason, message), events)
    assert found.sentence.startswith(sentence)
    assert [row["state"] for row in found.table] == [reason, reason]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('Error creating: pods "x" is forbidden: no PriorityClass with name p was found', "no PriorityClass p; submit"),
        (
            'Error creating: pods "x" is forbidden: exceeded quota: few, requested: pods=1',
            "ResourceQuota few of namespace",
        ),
        (
            'job creation failed with error: services "trial" already exists',
            "its Service trial cannot be made: there is one of that name that is not its own",
        ),
        ("Error creating: something new", "its Jobs or pods cannot be made: something new"),
    ],
)
def test_why_pods_are_not_made_is_told_with_the_next_step(said, words):
    assert words in meaning(load_snapshot("unmade"), said)


def test_what_cannot_be_read_is_named_in_the_answer():
    snapshot = load_snapshot("unmade")
    events = NotReadable(what="events", why="these credentials may not")
    found = explain(snapshot, summarise(snapshot), Surroundings(events=events))
    assert found.sentence == "2 of its pods are not made yet; why, events tell"
    assert found.unread == ("events (these credentials may not)",)


def test_a_cluster_that_grows_is_told_before_what_it_lacks():
    snapshot = load_snapshot("unplaced")
    events = [
        Event(
            kind="Pod",
            names=("trial-slice-0-0-abcde",),
            type="Normal",
            reason="TriggeredScaleUp",
            message="pod triggered scale-up: [{v5p-c 0->8 (max: 8)}]",
            count=1,
            first=summarise(snapshot).created,
            last=summarise(snapshot).created,
        )
    ]
    nodes = NotReadable(what="nodes", why="these credentials may not")
    found = explain(snapshot, summarise(snapshot), Surroundings(events=events, pools=nodes))
    assert found.sentence.startswith("the cluster is adding nodes for it (pod triggered scale-up: [{v5p-c 0->8")


def test_who_runs_or_is_over_is_asked_nothing():
    for name in ("running", "completed", "failed_by_mistake"):
        snapshot = load_snapshot(name)
        assert explain(snapshot, summarise(snapshot), Surroundings()) is None


def test_an_attempt_that_is_cleared_away_is_told_with_its_grace():
    snapshot = load_snapshot("stopping")
    state = summarise(snapshot)
    assert state.phase is Phase.RESTARTING
    found = explain(snapshot, state, Surroundings())
    assert found.sentence.endswith("1 pod yet to stop; 1 pod may take up to 300 s to save")
    assert [(row["name"], row["attempt"]) for row in found.table] == [(0, 1)]


def test_a_failed_try_of_an_earlier_attempt_explains_nothing():
    snapshot = load_snapshot("unmade")
    events = read_events(snapshot, load("unmade")["Event"])
    for job in snapshot.jobs:
        job["status"]["startTime"] = "2030-01-01T00:00:00Z"
    found = explain(snapshot, summarise(snapshot), Surroundings(events=events))
    assert (found.sentence, found.passes) == ("2 of its pods are about to be made", True)


def test_events_recorded_of_a_job_explain_it():
    snapshot = load_snapshot("unmade")
    events = read_events(snapshot, load("unmade")["Event"])
    found = explain(snapshot, summarise(snapshot), Surroundings(events=events))
    assert found.sentence.startswith(
        "its pods cannot be made: namespace research has no ServiceAccount nosuch; create it"
    )
