"""`mdctl list`, `status`, `watch`, `events`, `queues` and `capacity`, on a cluster."""

import json
import subprocess
import sys
import threading

import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.snapshot import observe_all
from tests.cli.conftest import folder, mdctl
from tests.cluster.answers import until_state
from tests.cluster.plane.api import PATIENCE
from tests.cluster.plane.pods import EXIT_CODE
from tests.cluster.rendered import JOB, rendered
from tests.cluster.roles import SUBMITTER, allowed

__all__ = ["folder", "mdctl"]

QUEUED = "queue.name=accelerators"
OBJECTS = {"JobSet", "Job", "Pod", "Workload"}
"""Of which a job is made, in a queue."""


@pytest.fixture
def verb(plane, namespace, mdctl):
    """Return a function that runs a verb in the test's namespace."""
    return lambda name, *words: mdctl(name, *words, "-n", namespace, "--kubeconfig", str(plane.kubeconfig))


def submit(plane, namespace, *overrides, name=JOB, labels=None):
    plane.api.create(rendered(namespace, *overrides, f"run_name={name}", labels=labels))


@pytest.mark.nodes("v6e-8")
class TestList:
    def test_of_each_what_it_is_and_how_it_stands(self, plane, namespace, verb):
        submit(plane, namespace, "slice=v6e-8", QUEUED, name="runs")
        plane.pods.running(namespace, "runs", 1)
        submit(plane, namespace, "slice=v5p-128", name="stuck")
        cluster = connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)
        until_state(cluster, "runs", lambda state: state.phase == "Running")
        found = {row["name"]: row for row in json.loads(verb("list", "-o", "json").out)}
        stuck, runs = found["stuck"], found["runs"]
        assert {key: runs[key] for key in ("name", "namespace", "task", "model", "slice", "phase", "queue")} == {
            "name": "runs",
            "namespace": namespace,
            "task": "train",
            "model": "wan2.1-t2v-14b",
            "slice": "v6e-8",
            "phase": "Running",
            "queue": "accelerators",
        }
        assert (stuck["phase"], stuck["hosts"]) == ("Pending", "0/16")
        assert verb("list", "--phase", "pending", "-o", "name").out == "stuck\n"
        table = verb("list").out.splitlines()
        assert table[0].split() == ["NAME", "TASK", "MODEL", "SLICE", "PHASE", "HOSTS", "PROGRESS", "AGE", "QUEUE"]
        everywhere = verb("list", "-A", "-o", "name").out.splitlines()
        assert {"stuck", "runs"} <= set(everywhere)

    def test_of_many_it_asks_in_few_requests(self, plane, namespace):
        for index in range(12):
            submit(plane, namespace, "slice=v6e-8", QUEUED, name=f"job-{index}", labels={EXIT_CODE: "0"})
        user = f"lister-{namespace}"
        path = plane.kubeconfig_for(user, ["test:admins"])
        assert len(observe_all(connect(kubeconfig=str(path), namespace=namespace))) == 12
        assert len(plane.requests(user)) <= 4

    def test_nothing_is_said_so(self, verb):
        shown = verb("list")
        assert (shown.code, shown.out) == (0, "")
        assert shown.err.startswith("no jobs ")

    def test_a_phase_that_is_none_is_refused_with_those_there_are(self, verb):
        shown = verb("list", "--phase", "quued")
        assert shown.code == 2
        assert "'quued' is no phase; there are: Suspended, Queued, Pending" in shown.err


class TestStatus:
    @pytest.mark.nodes("tpu7x")
    def test_a_failed_job_shows_the_first_host_its_code_and_last_lines(self, plane, namespace, verb):
        submit(plane, namespace, "slice=tpu7x-16")
        pods = plane.pods.running(namespace, JOB, 2)
        plane.pods.finish(pods[1], 2, "reading\nerror: no such bucket")
        plane.api.until_one(lambda found: found.get("status", {}).get("terminalState"), "JobSet", JOB, namespace)
        shown = verb("status", JOB)
        assert shown.code == 0
        assert (
            "\nphase         Failed\nreason        host 1 left with 2: the request cannot work as written\n"
            in shown.out
        )
        assert "\nwhat failed first\n  host 1 left with 2: the request" in shown.out
        assert "\n  | reading\n  | error: no such bucket\n" in shown.out
        found = json.loads(verb("status", JOB, "-o", "json").out)
        assert (found["failure"]["exitCode"], found["failure"]["host"]) == (2, 1)
        assert found["failure"]["lines"] == ["reading", "error: no such bucket"]
        assert [(row["name"], row["node"], row["worker"]) for row in found["hosts"]] == [
            (1, pods[1]["spec"]["nodeName"], "exited 2")
        ]
        assert found["times"]["created"] <= found["times"]["started"] <= found["times"]["ended"]
        assert verb("status", JOB, "-o", "name").out == f"{JOB}\n"

    def test_a_job_that_waits_shows_why(self, plane, namespace, verb):
        submit(plane, namespace, "slice=v5p-64", "num_slices=3", QUEUED)
        cluster = connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)
        until_state(cluster, JOB, lambda state: any(each.type == "QuotaReserved" for each in state.conditions))
        shown = verb("status", JOB)
        assert (
            "\nwhy it does not run\n  it asks for 96 TPU chips, and queue accelerators never has more than 64"
            in shown.out
        )
        assert "\n  v5p " in shown.out
        assert "QuotaReserved  Workload  no" in shown.out

    def test_a_role_that_sees_one_namespace_is_told_what_it_may_not_see(self, plane, namespace, mdctl):
        submit(plane, namespace, "slice=v5p-64", "num_slices=3", QUEUED)
        cluster = allowed(plane, namespace, SUBMITTER)
        until_state(cluster, JOB, lambda state: any(each.type == "QuotaReserved" for each in state.conditions))
        path = str(plane.kubeconfig_for(f"restricted-{namespace}"))
        shown = mdctl("status", JOB, "-n", namespace, "--kubeconfig", path)
        assert "queue accelerators never has more than 64" in shown.out
        assert f"ClusterQueue {namespace}-accelerators, ResourceFlavors)" in shown.out
        waits = ("LocalQueue", "accelerators", namespace)
        plane.api.until_one(lambda found: found["status"].get("pendingWorkloads") == 1, *waits)
        queues = mdctl("queues", "-n", namespace, "--kubeconfig", path)
        assert (queues.code, queues.out.splitlines()[1].split()[:4]) == (
            0,
            ["accelerators", f"{namespace}-accelerators", "Active", "1"],
        )
        assert "not readable with these credentials: " in queues.err
        capacity = mdctl("capacity", "v5p-64", "-n", namespace, "--kubeconfig", path, "-o", "json")
        assert json.loads(capacity.out)[0]["queues admit"] == {
            "accelerators": None,
            "everything": None,
            "topology": None,
        }
        assert "nodes" in capacity.err

    def test_a_name_that_is_none_is_one_clear_screen(self, verb):
        shown = verb("status", "nothing")
        assert (shown.code, shown.out) == (2, "")
        assert shown.err.startswith("error: no job is called 'nothing' in namespace ")


@pytest.mark.nodes("v6e-8")
def test_events_of_all_its_objects_are_listed_in_order(plane, namespace, verb):
    submit(plane, namespace, "slice=v6e-8", QUEUED, labels={EXIT_CODE: "0"})
    plane.api.until(tell_of_all, "Event", namespace)
    found = json.loads(verb("events", JOB, "-o", "json").out)
    reasons = [row["name"] for row in found]
    assert reasons.index("CreatedWorkload") < reasons.index("Scheduled")
    assert {row["of"].split()[0] for row in found} >= OBJECTS


def tell_of_all(events):
    """Say whether each controller has told of its object: they do so one by one, and may be behind the job's end."""
    reasons, kinds = {each["reason"] for each in events}, {each["involvedObject"]["kind"] for each in events}
    return reasons >= {"CreatedWorkload", "Scheduled"} and kinds >= OBJECTS


class TestQueuesAndCapacity:
    @pytest.mark.nodes("v6e-8")
    def test_what_of_what_is_used(self, plane, namespace, verb):
        submit(plane, namespace, "slice=v6e-8", QUEUED)
        plane.pods.running(namespace, JOB, 1)
        place = (f"{namespace}-accelerators",)
        plane.api.until_one(lambda found: found["status"].get("admittedWorkloads"), "ClusterQueue", *place)
        found = json.loads(verb("queues", "-o", "json").out)
        [row] = [each for each in found if (each["name"], each["flavor"]) == ("accelerators", "v6e-8")]
        assert (row["used"], row["quota"], row["resource"], row["waiting"]) == ("8", "16", "TPU chips", 0)
        [capacity] = json.loads(verb("capacity", "v6e-8", "-o", "json").out)
        assert (capacity["pools"], capacity["nodes"], capacity["ready"], capacity["free slices"]) == (
            ["v6e-8"],
            2,
            2,
            1,
        )
        assert capacity["queues admit"] == {"accelerators": 1, "everything": 2, "topology": 2}

    @pytest.mark.nodes("v5p")
    def test_a_slice_of_several_hosts_takes_a_pool_whole(self, plane, verb):
        plane.nodes.remove("gke-test-v5p-b-3")
        [row] = json.loads(verb("capacity", "v5p-64", "-o", "json").out)
        assert (row["pools"], row["nodes"], row["free slices"]) == (["v5p-a", "v5p-b"], 15, 1)

    def test_every_kind_that_is_there_is_listed(self, verb):
        names = verb("capacity", "-o", "name").out.splitlines()
        assert {"h100-mega-8", "h200-8", "tpu7x-16", "v5e-8", "v5p-64", "v6e-8", "v6e-16"} <= set(names)

    def test_what_xpk_says_is_shown(self, plane, verb, request):
        metadata = {"name": "team-resources-configmap", "namespace": "default"}
        data = {"v5p-64": "16", "v4-8": "1"}
        plane.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        request.addfinalizer(lambda: plane.api.delete("ConfigMap", metadata["name"], "default"))
        found = {row["name"]: row for row in json.loads(verb("capacity", "-o", "json").out)}
        assert (found["v5p-64"]["xpk nodes"], found["v4-8"]["xpk nodes"], found["v4-8"]["nodes"]) == ("16", "1", 0)

    def test_a_slice_that_is_none_is_refused(self, verb):
        shown = verb("capacity", "v5p-63")
        assert shown.code == 2
        assert "nearest: v5p-32" in shown.err


class Watching:
    """`mdctl watch` as a process of its own, and the lines that it has printed."""

    def __init__(self, plane, namespace, *words):
        command = [sys.executable, "-u", "-c", "from mdctl.cli.app import main; main()", "watch", *words]
        command += ["-n", namespace, "--kubeconfig", str(plane.kubeconfig)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, words, patience=PATIENCE):
        """Wait for a line with these words."""
        with self._news:
            found = self._news.wait_for(lambda: any(words in line for line in self.lines), patience)
        assert found, self.lines

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()


@pytest.fixture
def watching(plane, namespace):
    """Return a function that starts `mdctl watch`."""
    started = []

    def start(*words):
        started.append(Watching(plane, namespace, *words))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        each.process.stdout.close()


@pytest.mark.alone
@pytest.mark.nodes("v6e-8")
def test_watching_goes_on_over_a_restart_of_the_api_server(plane, namespace, watching):
    submit(plane, namespace, "slice=v6e-8")
    plane.pods.running(namespace, JOB, 1)
    one, all_ = watching(JOB), watching()
    one.until(f"{JOB}  Running  1 host run")
    all_.until(f"{JOB}  Running  1 host run")
    plane.restart_apiserver()
    plane.pods.finish_all(namespace, JOB)
    one.until(f"{JOB}  Completed  every host is done")
    assert one.process.wait(PATIENCE) == 0
    all_.until(f"{JOB}  Completed  every host is done")
    plane.api.delete("JobSet", JOB, namespace)
    all_.until(f"{JOB}  Deleted")
    assert any("no cluster answers at" in line for line in all_.lines)


def test_watching_a_job_that_waits_says_why(plane, namespace, watching):
    submit(plane, namespace, "slice=v5p-128")
    watching(JOB).until("why: no node pool has gke-tpu-accelerator=tpu-v5p-slice")


def test_watching_for_a_program_gives_an_object_for_each_change(plane, namespace, watching):
    submit(plane, namespace, "slice=v5p-128")
    found = watching("-o", "json")
    found.until('"phase": "Pending"')
    assert json.loads(found.lines[0])["name"] == JOB
