import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from mdctl.cluster.apply import create, difference
from mdctl.cluster.client import connect
from mdctl.spec.errors import ClusterError
from tests.cluster.plane.pods import EXIT_CODE, LINGER
from tests.cluster.rendered import JOB, rendered, template

SUBMITTERS = 6


@pytest.fixture
def cluster(plane, namespace):
    """Return the cluster as a user of the test's own sees it, whose requests are counted."""
    return connect(kubeconfig=str(plane.kubeconfig_for(f"u-{namespace}", ["test:admins"])), namespace=namespace)


def asked(plane, namespace):
    """Return what that user asked for: verb, kind, and whether it was only to be judged."""
    return [
        f"{entry['verb']} {entry['objectRef']['resource']}{' dry' * ('dryRun' in entry['requestURI'])}"
        for entry in plane.requests(f"u-{namespace}")
    ]


def state(plane, namespace, condition):
    return plane.api.until_one(lambda job: condition(job.get("status", {})), "JobSet", JOB, namespace)


def test_a_job_is_judged_in_all_its_forms_and_then_created(plane, cluster, namespace):
    found = create(rendered(namespace), cluster)
    assert found == {"name": JOB, "namespace": namespace, "state": "created"}
    assert asked(plane, namespace) == [
        "create jobsets dry",
        "create jobs dry",
        "create pods dry",
        "get services",
        "create jobsets",
    ]
    assert plane.api.get("JobSet", JOB, namespace)


EVERYTHING = (
    "num_slices=2",
    "queue={name: accelerators, priority: low, podPriority: high}",
    "secrets=[{name: hub, key: token, env: T}, {name: notes, mount_path: /notes}]",
    "image_pull_secrets=[pull]",
    "service_account=trainer",
)


def prepare(plane, namespace):
    """Create what EVERYTHING names."""
    plane.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about("trainer", namespace)})
    for name in ("hub", "notes", "pull"):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": about(name, namespace)}
        plane.api.create({**secret, "data": {"token": "dmFsdWU="}})


def about(name, namespace):
    return {"name": name, "namespace": namespace}


@pytest.mark.parametrize("left", [range(1 << place, 1 << (place + 1)) for place in range(len(EVERYTHING))])
@pytest.mark.nodes("v5p")
def test_whatever_a_spec_names_a_submit_takes_requests_in_single_digits(plane, cluster, namespace, left):
    """All combinations: a bit of each number says whether the spec names one thing."""
    prepare(plane, namespace)
    before = 0
    for number in left:
        chosen = [each for place, each in enumerate(EVERYTHING) if number >> place & 1]
        create(rendered(namespace, "slice=v5p-64", *chosen, f"run_name=job-{number}"), cluster)
        requests = asked(plane, namespace)[before:]
        before += len(requests)
        assert requests[:3] == ["create jobsets dry", "create jobs dry", "create pods dry"]
        assert requests[-1] == "create jobsets"
        assert len(requests) < 10, (chosen, requests)


def test_a_submit_that_names_everything_looks_at_everything(plane, cluster, namespace):
    prepare(plane, namespace)
    said = []
    create(rendered(namespace, "slice=v5p-64", *EVERYTHING), cluster, say=said.append)
    assert asked(plane, namespace) == [
        "create jobsets dry",
        "create jobs dry",
        "create pods dry",
        "get services",
        "list jobs",
        "list secrets",
        "list localqueues",
        "list workloadpriorityclasses",
        "create jobsets",
    ]
    assert said == [
        f"left to `mdctl status {JOB}`: whether queue accelerators could ever give it what it asks for",
    ]


def test_a_submit_that_is_wrong_in_everything_takes_one_more(plane, cluster, namespace):
    wrong = (
        *EVERYTHING[:1],
        "queue={name: fast, priority: mine, podPriority: urgent}",
        "secrets=[{name: hub, key: token, env: T}, {name: notes, mount_path: /notes}]",
    )
    with pytest.raises(ClusterError) as error:
        create(rendered(namespace, "slice=v5p-64", *wrong), cluster)
    first = [line.split()[0] for line in str(error.value).splitlines()[1:]]
    assert first == ["queue.podPriority", "Secret", "Secret", "queue.name", "queue.priority"]
    assert len(asked(plane, namespace)) == 10


@pytest.mark.nodes("v5p")
def test_all_jobs_and_all_pods_are_of_the_shape_of_which_one_is_judged(plane, cluster, namespace):
    create(rendered(namespace, "slice=v5p-64", "num_slices=2"), cluster)
    pods = plane.pods.running(namespace, JOB, 16)
    first, second = plane.api.objects("Job", namespace)
    assert job_shape(first) == job_shape(second)
    assert [pod_shape(pod) for pod in pods] == [pod_shape(pods[0])] * 16


def job_shape(job):
    """Return a Job's spec but for what its index and its uid are in: labels, and how JobSet spreads its first pod."""
    spec = {name: value for name, value in job["spec"].items() if name != "selector"}
    about, pod = spec["template"]["metadata"], spec["template"]["spec"]
    indexed = ("jobset.sigs.k8s.io/", "batch.kubernetes.io/", "controller-uid", "job-name")
    about = {
        kind: {name: value for name, value in about[kind].items() if not name.startswith(indexed)}
        for kind in ("labels", "annotations")
    }
    return {**spec, "template": {"metadata": about, "spec": pod}}


def pod_shape(pod):
    """Return what is judged of a pod: all but its place."""
    spec = copy.deepcopy(pod["spec"])
    for container in spec["containers"]:
        container["env"] = [each for each in container["env"] if not each["name"].startswith(("TPU_", "MEGASCALE_"))]
    return {
        name: value for name, value in spec.items() if name not in ("affinity", "hostname", "nodeName", "nodeSelector")
    }


def test_the_same_again_is_a_success_without_a_write(plane, cluster, namespace):
    create(rendered(namespace), cluster)
    before = plane.api.get("JobSet", JOB, namespace)
    assert create(rendered(namespace), cluster)["state"] == "unchanged"
    assert asked(plane, namespace)[5:] == ["create jobsets dry", "get jobsets"]
    assert plane.api.get("JobSet", JOB, namespace)["metadata"]["uid"] == before["metadata"]["uid"]


def test_of_many_at_once_one_creates_and_all_succeed(plane, cluster, namespace):
    together = Barrier(SUBMITTERS)

    def submit(_):
        together.wait()
        return create(rendered(namespace), cluster)["state"]

    with ThreadPoolExecutor(SUBMITTERS) as pool:
        states = list(pool.map(submit, range(SUBMITTERS)))
    assert sorted(states) == ["created"] + ["unchanged"] * (SUBMITTERS - 1)
    assert len(plane.api.objects("JobSet", namespace)) == 1


def test_of_two_that_differ_one_is_created_and_one_refused(plane, cluster, namespace):
    together = Barrier(2)

    def submit(steps):
        together.wait()
        try:
            return create(rendered(namespace, f"training.steps={steps}"), cluster)["state"]
        except ClusterError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        states = sorted(pool.map(submit, (5, 6)))
    assert "is there with another spec" in states[0]
    assert states[1] == "created"


def test_another_spec_of_that_name_is_refused_with_the_difference(cluster, namespace):
    create(rendered(namespace), cluster)
    with pytest.raises(ClusterError, match=r"another spec:(.|\n)*-    steps: 10000\n\+    steps: 5\n(.|\n)*--replace"):
        create(rendered(namespace, "training.steps=5"), cluster)


def test_a_long_difference_is_cut_to_a_screen(cluster, namespace):
    create(rendered(namespace), cluster)
    prompts = "sampling.prompts=[" + ", ".join(f"prompt {n}" for n in range(100)) + "]"
    with pytest.raises(ClusterError) as error:
        create(rendered(namespace, prompts), cluster)
    assert len(str(error.value).splitlines()) < 30
    assert "more lines" in str(error.value)


@pytest.mark.nodes("v5e-8")
def test_another_spec_takes_the_place_of_a_running_one_once_its_pods_are_gone(plane, cluster, namespace):
    create(rendered(namespace, "slice=v5e-8", labels={LINGER: "1s"}), cluster)
    [pod] = plane.pods.running(namespace, JOB, 1)
    said = []
    wanted = rendered(namespace, "slice=v5e-8", "training.steps=5")
    assert create(wanted, cluster, replace=True, say=said.append)["state"] == "replaced"
    assert "1 pod has yet to stop, with at most 300 s to save" in said[0]
    assert plane.api.find("Pod", pod["metadata"]["name"], namespace) is None
    plane.pods.running(namespace, JOB, 1)
    assert create(wanted, cluster, replace=True)["state"] == "unchanged"


def test_what_is_wrong_is_found_before_anything_is_deleted(plane, cluster, namespace):
    create(rendered(namespace), cluster)
    before = plane.api.get("JobSet", JOB, namespace)
    with pytest.raises(ClusterError, match="Secret nothing is not in namespace"):
        create(rendered(namespace, "image_pull_secrets=[nothing]"), cluster, replace=True)
    after = plane.api.get("JobSet", JOB, namespace)["metadata"]
    assert (after["uid"], "deletionTimestamp" in after) == (before["metadata"]["uid"], False)


@pytest.mark.nodes("v5e-8")
def test_a_job_that_is_over_runs_again_only_where_that_is_asked_for(plane, cluster, namespace):
    wanted = rendered(namespace, "slice=v5e-8", labels={EXIT_CODE: "2"})
    create(wanted, cluster)
    before = state(plane, namespace, lambda status: status.get("terminalState"))
    assert create(wanted, cluster)["state"] == "unchanged: it is over (Failed), --replace runs it again"
    assert create(wanted, cluster, replace=True)["state"] == "replaced"
    assert plane.api.get("JobSet", JOB, namespace)["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.nodes("v5e-8")
def test_a_job_that_is_being_deleted_is_no_success(plane, cluster, namespace):
    wanted = rendered(namespace, "slice=v5e-8", labels={LINGER: "2s"})
    create(wanted, cluster)
    plane.pods.running(namespace, JOB, 1)
    plane.api.delete("JobSet", JOB, namespace, propagationPolicy="Foreground")
    with pytest.raises(ClusterError, match="is being deleted; try again in a moment, or let --replace wait"):
        create(wanted, cluster)
    assert create(wanted, cluster, replace=True)["state"] == "replaced"


@pytest.mark.parametrize("replace", [False, True])
def test_a_stranger_of_that_name_is_left_alone(plane, cluster, namespace, replace):
    stranger = rendered(namespace)
    del stranger["metadata"]["annotations"]
    plane.api.create(stranger)
    with pytest.raises(ClusterError, match="is not mdctl's; choose another name"):
        create(rendered(namespace), cluster, replace=replace)
    assert "deletionTimestamp" not in plane.api.get("JobSet", JOB, namespace)["metadata"]


def duplicate_volume(spec):
    spec["volumes"].append(copy.deepcopy(spec["volumes"][0]))


def request_unlike_limit(spec):
    spec["containers"][0]["resources"]["requests"]["google.com/tpu"] = "2"


def restart_on_failure(spec):
    spec["restartPolicy"] = "OnFailure"


@pytest.mark.parametrize(
    ("mutate", "words"),
    [
        (duplicate_volume, r"volumes\[2\]: Duplicate value"),
        (request_unlike_limit, r'requests: Invalid value: "2": must be equal to google.com/tpu limit of 4'),
        (restart_on_failure, 'only "Never" is supported when podFailurePolicy is specified'),
    ],
)
def test_what_a_webhook_or_a_controller_would_stumble_over_is_refused_before_anything_is_created(
    plane, cluster, namespace, mutate, words
):
    wanted = rendered(namespace)
    mutate(template(wanted))
    with pytest.raises(ClusterError, match=words):
        create(wanted, cluster)
    assert plane.api.objects("JobSet", namespace) == []


def test_what_differs_is_what_the_specs_say():
    wanted = rendered("n", "slice=v5p-64")
    assert difference(wanted, wanted) == []
    lines = difference(wanted, rendered("n", "slice=v5p-64", "num_slices=2", "batch.perDevice=0.25"))
    assert {"-  numSlices: 1", "+  numSlices: 2"} <= set(lines)
