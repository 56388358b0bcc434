"""Each reason for which a job does not run, as real controllers make it arise."""

import pytest

from mdctl.cluster.state import Phase
from tests.cluster.answers import names, until_state, until_why
from tests.cluster.plane.nodes import POOL
from tests.cluster.plane.pods import LINGER, WAITING
from tests.cluster.plane.queues import KUEUE
from tests.cluster.rendered import JOB, rendered

QUEUED = "queue.name=accelerators"


@pytest.mark.nodes("v5e-8")
class TestQueue:
    def test_full_by_whom_and_who_comes_first(self, plane, namespace, cluster, submit):
        plane.queues.create(namespace, {"v5e-8": 8})
        submit("slice=v5e-8", QUEUED, name="first")
        plane.pods.running(namespace, "first", 1)
        submit("slice=v5e-8", QUEUED, name="second")
        why = until_why(cluster, "second", "8 of 8 are taken")
        assert why.sentence == (
            "queue accelerators is full: of TPU chips (flavour v5e-8) 8 of 8 are taken, and it needs 8; "
            "it is the next in line"
        )
        submit("slice=v5e-8", QUEUED, name="third")
        why = until_why(cluster, "third", "1 job waits before it: second")
        assert [(row["name"], row["state"]) for row in why.table][-2:] == [
            ("second", "waits before it"),
            ("third", "this job"),
        ]
        assert why.unread == ()

    def test_preempted_and_by_whom(self, plane, namespace, cluster, submit):
        plane.queues.create(namespace, {"v5e-8": 8})
        submit("slice=v5e-8", QUEUED, "queue.priority=low", name="victim")
        plane.pods.running(namespace, "victim", 1)
        submit("slice=v5e-8", QUEUED, "queue.priority=high", name="urgent")
        why = until_why(
            cluster, "victim", "it was preempted by urgent (priority 1000), and now queue accelerators is full"
        )
        assert names(why) == ["urgent", "victim"]
        submit("slice=v5e-8", QUEUED, "queue.priority=high", name="later")
        until_why(cluster, "victim", "1 job waits before it (1 of higher priority than its 100): later")

    def test_stopping_pods_are_counted_while_the_job_waits_again(self, plane, namespace, cluster, submit):
        plane.queues.create(namespace, {"v5e-8": 8})
        submit("slice=v5e-8", QUEUED, "queue.priority=low", name="victim", labels={LINGER: "5s"})
        plane.pods.running(namespace, "victim", 1)
        submit("slice=v5e-8", QUEUED, "queue.priority=high", name="urgent")
        _, state = until_state(cluster, "victim", lambda state: state.phase is Phase.QUEUED)
        assert "it was preempted" in state.reason
        assert ("1 pod yet to stop" in state.reason) == bool(state.hosts)

    @pytest.mark.parametrize(
        ("overrides", "words"),
        [
            (
                ["slice=v5e-8", "queue.name=nosuch"],
                "has no queue 'nosuch'; there are: accelerators, everything, topology",
            ),
            (
                ["slice=v6e-8", QUEUED, "resources={cpu: '8'}"],
                "the pods ask for cpu, which queue accelerators does not cover (it covers google.com/tpu, "
                "nvidia.com/gpu), so it is never admitted; submit it again without resources.cpu",
            ),
            (
                ["slice=v5p-64", "num_slices=3", QUEUED],
                "it asks for 96 TPU chips, and queue accelerators never has more than 64 (flavour v5p), so it is never",
            ),
            (
                ["slice=v5e-16", QUEUED],
                "has nothing for nodes with gke-tpu-accelerator=tpu-v5-lite-podslice, gke-tpu-topology=4x4: none of",
            ),
            (
                ["slice=v5e-8", QUEUED, "queue.priority=nosuch"],
                "has no WorkloadPriorityClass 'nosuch', so Kueue does not take it up; there are: high, low",
            ),
        ],
    )
    def test_what_can_never_be_is_said_so(self, cluster, submit, overrides, words):
        submit(*overrides)
        until_why(cluster, JOB, words)


def queue(plane, namespace, name, request, chips=16, **spec):
    """Create a LocalQueue and a ClusterQueue of its own for v5e-8, which is deleted after the test."""
    resources = [{"name": "google.com/tpu", "nominalQuota": str(chips)}]
    groups = [{"coveredResources": ["google.com/tpu"], "flavors": [{"name": "v5e-8", "resources": resources}]}]
    cluster_queue = f"{namespace}-{name}"
    request.addfinalizer(lambda: plane.api.delete("ClusterQueue", cluster_queue))
    plane.api.create(
        {
            "apiVersion": KUEUE,
            "kind": "ClusterQueue",
            "metadata": {"name": cluster_queue},
            "spec": {"namespaceSelector": {}, "resourceGroups": groups, **spec},
        }
    )
    door(plane, namespace, name, cluster_queue)


def door(plane, namespace, name, cluster_queue):
    metadata = {"name": name, "namespace": namespace}
    wanted = {"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": metadata, "spec": {"clusterQueue": cluster_queue}}
    plane.api.create(wanted)


class TestQueueThatAdmitsNothing:
    def test_it_is_stopped(self, plane, namespace, cluster, submit):
        plane.api.patch("LocalQueue", "accelerators", {"spec": {"stopPolicy": "Hold"}}, namespace)
        submit("slice=v5e-8", QUEUED)
        until_why(cluster, JOB, "queue accelerators is stopped: its administrator admits nothing until")

    def test_what_is_behind_it_is_stopped(self, plane, namespace, cluster, submit):
        plane.api.patch("ClusterQueue", f"{namespace}-accelerators", {"spec": {"stopPolicy": "Hold"}})
        submit("slice=v5e-8", QUEUED)
        until_why(cluster, JOB, f"ClusterQueue {namespace}-accelerators, behind queue accelerators, is stopped by its")

    def test_there_is_nothing_behind_it(self, plane, namespace, cluster, submit):
        door(plane, namespace, "orphan", "nosuch")
        submit("slice=v5e-8", "queue.name=orphan")
        until_why(cluster, JOB, "queue orphan leads to ClusterQueue 'nosuch', which does not exist")

    def test_what_is_behind_it_lacks_a_flavour(self, plane, namespace, cluster, submit, request):
        resources = [{"name": "google.com/tpu", "nominalQuota": "16"}]
        groups = [{"coveredResources": ["google.com/tpu"], "flavors": [{"name": "nosuch", "resources": resources}]}]
        queue(plane, namespace, "lacking", request, resourceGroups=groups)
        submit("slice=v5e-8", "queue.name=lacking")
        until_why(cluster, JOB, "behind queue lacking, admits nothing: references missing ResourceFlavor(s): nosuch")

    def test_it_is_not_for_this_namespace(self, plane, namespace, cluster, submit, request):
        queue(plane, namespace, "others", request, namespaceSelector={"matchLabels": {"team": "other"}})
        submit("slice=v5e-8", "queue.name=others")
        until_why(cluster, JOB, f"is not for namespace {namespace}, by its namespaceSelector")

    def test_a_check_is_still_to_pass(self, plane, namespace, cluster, submit, request):
        check = f"{namespace}-check"
        path = "apis/kueue.x-k8s.io/v1beta2/admissionchecks"
        wanted = {"apiVersion": KUEUE, "kind": "AdmissionCheck", "metadata": {"name": check}}
        plane.api.request("POST", path, {}, {**wanted, "spec": {"controllerName": "mdctl.test/nobody"}})
        request.addfinalizer(lambda: plane.api.request("DELETE", f"{path}/{check}"))
        active = {
            "type": "Active",
            "status": "True",
            "reason": "Active",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {"status": {"conditions": [active]}}
        plane.api.request("PATCH", f"{path}/{check}/status", {}, status, "application/merge-patch+json")
        queue(plane, namespace, "checked", request, admissionChecksStrategy={"admissionChecks": [{"name": check}]})
        submit("slice=v5e-8", "queue.name=checked")
        why = until_why(cluster, JOB, f"quota is reserved, and it waits for admission checks: {check} is Pending")
        assert names(why) == [check]

    @pytest.mark.nodes("v5e-8")
    def test_nobody_may_pass_another(self, plane, namespace, cluster, submit, request):
        queue(plane, namespace, "strict", request, chips=8, queueingStrategy="StrictFIFO")
        submit("slice=v5e-8", "queue.name=strict", name="first")
        plane.pods.running(namespace, "first", 1)
        submit("slice=v5e-8", "queue.name=strict", name="second")
        until_why(cluster, "second", "queue strict is full")
        submit("slice=v5e-8", "queue.name=strict", name="third")
        until_why(cluster, "third", "1 job waits before it: second, and nobody may pass another in this queue")
        submit("slice=v6e-8", "queue.name=strict", name="odd")
        until_why(cluster, "odd", "queue strict has no flavour for nodes with gke-tpu-accelerator=tpu-v6e-slice")

    def test_it_was_suspended(self, plane, namespace, cluster, submit):
        submit("slice=v5e-8", "queue.name=orphan")
        [workload] = plane.api.until(bool, "Workload", namespace)
        plane.api.patch("Workload", workload["metadata"]["name"], {"spec": {"active": False}}, namespace)
        _, state = until_state(cluster, JOB, lambda state: state.phase is Phase.SUSPENDED)
        assert state.reason == "it was suspended, and `mdctl resume trial` lets it go on"


class TestNodes:
    def test_there_is_no_such_pool(self, cluster, submit):
        submit("slice=v5p-128")
        why = until_why(cluster, JOB, "no node pool has")
        assert why.sentence == (
            "no node pool has gke-tpu-accelerator=tpu-v5p-slice, gke-tpu-topology=4x4x4; the nearest is v5p-a, with "
            "gke-tpu-topology 2x4x4, which is v5p-64: submit it again for a slice that is there (see "
            "`mdctl capacity`), or have such a pool made; the other pods of a slice are made once its first has a node"
        )
        assert {"v5p-a", "v6e-16", "tpu7x-16"} <= set(names(why))
        assert "a3-mega" not in names(why)

    @pytest.mark.nodes("v5p")
    def test_there_are_fewer_than_a_slice(self, plane, cluster, submit):
        for pool in "ab":
            for index in range(4):
                plane.nodes.remove(f"gke-test-v5p-{pool}-{index}")
        submit("slice=v5p-64")
        why = until_why(cluster, JOB, "has 4 of the 8 nodes that a slice needs; have it repaired or resized")
        assert [(row["nodes"], row["used by"]) for row in why.table] == [(4, ["this job"])]

    @pytest.mark.nodes("v5p")
    def test_others_use_them(self, plane, namespace, cluster, submit):
        submit("slice=v5p-64", "num_slices=2", name="busy")
        plane.pods.running(namespace, "busy", 16)
        submit("slice=v5p-64")
        why = until_why(cluster, JOB, "in use")
        assert why.sentence.startswith(
            "the nodes of that kind are in use: v5p-a by busy, v5p-b by busy; the other pods"
        )
        assert [(row["ready"], row["free"]) for row in why.table] == [(8, 0), (8, 0)]

    @pytest.mark.nodes("v6e-16")
    def test_they_are_not_ready(self, plane, cluster, submit):
        plane.nodes.lose("gke-test-v6e-16-2")
        submit("slice=v6e-16")
        until_why(cluster, JOB, "1 of 4 nodes of that kind are not to be used: gke-test-v6e-16-2 is not ready")

    @pytest.mark.nodes("v6e-8")
    def test_they_have_a_taint(self, plane, cluster, submit, request):
        own = {"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"}
        for index in range(2):
            node = f"gke-test-v6e-8-{index}"
            request.addfinalizer(lambda node=node: plane.api.patch("Node", node, {"spec": {"taints": [own]}}))
            plane.api.patch("Node", node, {"spec": {"taints": [own, {"key": "team/other", "effect": "NoSchedule"}]}})
        submit("slice=v6e-8")
        until_why(cluster, JOB, "every node of that kind has a taint that the job does not tolerate: team/other")

    @pytest.mark.nodes("v6e-16")
    def test_no_part_of_the_topology_has_room(self, plane, namespace, cluster, submit):
        submit("slice=v6e-16", name="busy")
        plane.pods.running(namespace, "busy", 4)
        submit("slice=v6e-16", f"queue={{name: topology, topology: {POOL}}}")
        until_why(cluster, JOB, 'no part of the cluster has room for a whole slice now (topology "gke-tpu" ')

    @pytest.mark.nodes("a3-mega")
    def test_there_are_fewer_than_the_job_needs(self, cluster, submit):
        submit("slice=a3-mega:4")
        until_why(cluster, JOB, "the job needs 4 nodes and there are 2 of that kind (a3-mega)")


class TestControllers:
    def test_a_job_of_that_name_is_not_its_own(self, plane, namespace, cluster, submit):
        pods = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}
        metadata = {"name": f"{JOB}-slice-0", "namespace": namespace}
        foreign = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        plane.api.create({**foreign, "spec": {"suspend": True, "template": {"spec": pods}}})
        submit("slice=v6e-8")
        why = until_why(
            cluster, JOB, "its Job trial-slice-0 cannot be made: there is one of that name that is not its own"
        )
        assert f"`kubectl delete job trial-slice-0 -n {namespace}`" in why.sentence

    @pytest.mark.parametrize(
        ("override", "words"),
        [
            (
                "service_account=nosuch",
                "has no ServiceAccount nosuch; create it (`kubectl create serviceaccount nosuch",
            ),
            ("queue.podPriority=nosuch", "the cluster has no PriorityClass nosuch"),
        ],
    )
    def test_what_pods_need_is_missing(self, cluster, submit, override, words):
        submit("slice=v6e-8", override)
        until_why(cluster, JOB, words)

    def test_the_namespace_has_its_share(self, plane, namespace, cluster, submit):
        wanted = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": namespace}}
        plane.api.create({**wanted, "spec": {"hard": {"pods": "0"}}})
        plane.api.until_one(lambda found: "hard" in found.get("status", {}), "ResourceQuota", "few", namespace)
        submit("slice=v6e-8")
        until_why(cluster, JOB, f"ResourceQuota few of namespace {namespace} is used up (requested: pods=1")

    def test_the_namespace_enforces_a_profile(self, plane, namespace, cluster, submit):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        plane.api.patch("Namespace", namespace, {"metadata": {"labels": labels}})
        submit("slice=a3-ultra:2")
        until_why(cluster, JOB, f"namespace {namespace} enforces the Pod Security profile restricted:latest (")

    @pytest.mark.nodes("v6e-8")
    def test_an_image_cannot_be_pulled(self, plane, cluster, submit):
        submit("slice=v6e-8", "image=registry.example/team/mdctl:typo", labels={WAITING: "ImagePullBackOff"})
        why = until_why(cluster, JOB, "cannot be pulled on 1 of 1 host")
        assert why.sentence.startswith(
            "image registry.example/team/mdctl:typo cannot be pulled on 1 of 1 host: not found;"
        )
        assert [row["state"] for row in why.table] == ["ImagePullBackOff"]

    @pytest.mark.nodes("v6e-16")
    def test_the_attempt_before_is_still_there(self, plane, namespace, cluster, submit):
        submit("slice=v6e-16", labels={LINGER: "4s"})
        pods = plane.pods.running(namespace, JOB, 4)
        plane.pods.finish(pods[1], 1, "one\nlast words")
        why = until_why(
            cluster, JOB, "host 1 left with 1: failed: a fault in mdctl or in the machine; 3 pods yet to stop"
        )
        assert [(row["name"], row["attempt"]) for row in why.table] == [(0, 1), (2, 1), (3, 1)]
        plane.pods.finish_all(namespace, JOB, 0)
        _, state = until_state(cluster, JOB, lambda state: state.phase is Phase.RUNNING and state.restarts == 1)
        assert (state.counted, state.ready, state.total) == (1, 4, 4)

    def test_it_was_suspended_by_hand(self, plane, namespace, cluster, submit):
        wanted = rendered(namespace, "slice=v6e-8")
        wanted["spec"]["suspend"] = True
        cluster.create(wanted)
        until_why(cluster, JOB, "it was suspended, and `mdctl resume trial` lets it go on")

    @pytest.mark.nodes("v6e-8")
    def test_something_holds_a_pod_back(self, plane, namespace, cluster):
        wanted = rendered(namespace, "slice=v6e-8")
        pod = wanted["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
        pod["schedulingGates"] = [{"name": "example.com/hold"}]
        cluster.create(wanted)
        until_why(cluster, JOB, "1 pod may not be scheduled yet: example.com/hold is to be lifted first")
