import pytest

from mdctl.cluster.apply import create
from mdctl.cluster.client import connect
from mdctl.cluster.kinds import KINDS, Kind
from mdctl.spec.errors import ClusterError
from tests.cluster.plane.queues import KUEUE
from tests.cluster.rendered import JOB, rendered, template

ENFORCE = "pod-security.kubernetes.io/enforce"
GPUS = "slice=a3-ultra:2"


@pytest.fixture(scope="module")
def shared(plane):
    """Yield a namespace for tests that leave nothing in it."""
    with plane.fresh_namespace() as name:
        yield name


@pytest.fixture
def cluster(plane):
    return connect(kubeconfig=str(plane.kubeconfig))


@pytest.fixture
def submitter(plane, namespace):
    """Return the cluster for a user who may create JobSets, and look at nothing but those."""
    return connect(kubeconfig=str(plane.kubeconfig_for(allow(plane, namespace, {"jobsets": ["create", "get"]}))))


def allow(plane, namespace, resources):
    """Let a user do something in a namespace, and return the user's name."""
    user = f"submitter-{namespace}"
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user, "namespace": namespace}}
    rules = [{"apiGroups": ["*"], "resources": [name], "verbs": verbs} for name, verbs in resources.items()]
    plane.api.create({**rbac, "kind": "Role", "rules": rules})
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
    plane.api.create({**rbac, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})
    return user


def refusal(plane, cluster, wanted):
    """Return what a job is refused with, before anything of it is created."""
    with pytest.raises(ClusterError) as error:
        create(wanted, cluster)
    namespace = wanted["metadata"]["namespace"]
    if plane.api.find("Namespace", namespace):
        assert not [each for each in plane.api.objects("JobSet", namespace) if "annotations" in each["metadata"]]
    return str(error.value)


def secret(plane, namespace, name, *keys):
    metadata = {"name": name, "namespace": namespace}
    data = dict.fromkeys(keys, "dmFsdWU=")
    plane.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("service_account=trainer", "serviceAccount is 'trainer', which namespace {} does not have; create it"),
        ("queue.podPriority=urgent", "queue.podPriority is 'urgent', but the cluster has no such PriorityClass; there"),
        ("image_pull_secrets=[pull]", "Secret pull is not in namespace {}; create it, or name another in the spec"),
        ("secrets=[{name: hub, key: token, env: T}]", "Secret hub is not in namespace {}"),
        ("secrets=[{name: notes, mount_path: /notes}]", "Secret notes is not in namespace {}"),
        ("queue.name=fast", "queue.name is 'fast', which namespace {} does not have; there are: accelerators, every"),
        (
            "queue={name: accelerators, priority: mine}",
            "queue.priority is 'mine', but the cluster has no such WorkloadPriorityClass; there are: high, low",
        ),
        (
            "queue={name: accelerators}",
            "queue accelerators has no flavour for nodes with gke-tpu-accelerator=tpu-v4-podslice, "
            "gke-tpu-topology=2x2x1",
        ),
    ],
)
def test_a_name_that_the_cluster_lacks_is_said_with_those_that_it_has(plane, cluster, shared, override, words):
    assert words.format(shared) in refusal(plane, cluster, rendered(shared, override))


def test_everything_that_is_wrong_is_said_at_once(plane, cluster, shared):
    overrides = ("service_account=trainer", "image_pull_secrets=[pull]", "queue={name: fast, priority: mine}")
    said = refusal(plane, cluster, rendered(shared, *overrides)).splitlines()
    assert said[0] == f"{JOB} is not submitted:"
    assert [line.split()[0] for line in said[1:]] == ["serviceAccount", "Secret", "queue.name", "queue.priority"]


def test_a_key_that_a_secret_lacks_is_said_with_those_that_it_has(plane, cluster, namespace):
    secret(plane, namespace, "hub", "password", "user")
    wanted = rendered(namespace, "secrets=[{name: hub, key: token, env: T}, {name: hub, key: user, env: U}]")
    said = refusal(plane, cluster, wanted)
    assert "Secret hub has no key 'token'; it has: password, user" in said
    assert "'user'" not in said


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        ("accelerators", "ask for cpu, which queue accelerators does not cover (it covers google.com/tpu, nvidia.com/"),
        ("accelerators", "ask for memory, which queue accelerators does not cover"),
    ],
)
def test_what_a_queue_does_not_cover_is_refused(plane, cluster, shared, queue, words):
    wanted = rendered(shared, "slice=v6e-8", "resources={cpu: '8', memory: 64Gi}", f"queue.name={queue}")
    assert words in refusal(plane, cluster, wanted)


def test_what_a_sidecar_asks_for_must_be_covered_too(plane, cluster, shared):
    wanted = rendered(shared, "slice=a3-mega:2", "queue.name=accelerators")
    [daemon] = template(wanted)["initContainers"]
    daemon["resources"] = {"requests": {"memory": "1Gi"}}
    assert "ask for memory, which queue accelerators does not cover" in refusal(plane, cluster, wanted)


def test_what_a_limit_range_adds_must_be_covered_too(plane, cluster, namespace):
    limits = [{"type": "Container", "defaultRequest": {"cpu": "1"}}]
    metadata = {"name": "defaults", "namespace": namespace}
    plane.api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": limits}})
    said = refusal(plane, cluster, rendered(namespace, "slice=v6e-8", "queue.name=accelerators"))
    assert "ask for cpu, which queue accelerators does not cover" in said


def test_what_the_quota_never_gives_is_refused(plane, cluster, namespace):
    plane.queues.create(namespace, {"v5p": 32})
    wanted = rendered(namespace, "slice=v5p-64", "num_slices=2", "queue.name=accelerators")
    said = refusal(plane, cluster, wanted)
    assert "asks for 64 google.com/tpu, and queue accelerators never has more than 32 (flavour v5p of" in said


MANY = ("slice=v5p-64", "num_slices=2", "queue={name: accelerators, priority: low}")
"""What leaves requests to read a ClusterQueue, but not the ResourceFlavors."""


def test_with_one_request_left_a_quota_that_is_too_small_is_found_still(plane, cluster, namespace):
    plane.queues.create(namespace, {"v5p": 32, "v6e-8": 16})
    said = refusal(plane, cluster, rendered(namespace, *MANY))
    assert "asks for 64 google.com/tpu, and queue accelerators never has more than 32 (flavour v5p of" in said


def test_with_no_request_left_a_queue_says_itself_what_it_covers(plane, cluster, namespace):
    secret(plane, namespace, "hub", "token")
    wanted = rendered(namespace, *MANY, "resources.cpu=8", "secrets=[{name: hub, key: token, env: T}]")
    assert "ask for cpu, which queue accelerators does not cover" in refusal(plane, cluster, wanted)


def test_of_many_secrets_those_that_are_missing_are_said_and_their_keys(plane, cluster, namespace):
    secret(plane, namespace, "hub", "user")
    wanted = "secrets=[{name: hub, key: token, env: T}, {name: hub, key: user, env: U}, {name: notes, mount_path: /n}]"
    said = refusal(plane, cluster, rendered(namespace, wanted, "image_pull_secrets=[pull]"))
    assert "Secret hub has no key 'token'; it has: user" in said
    assert "Secret notes is not in namespace" in said
    assert "Secret pull is not in namespace" in said
    assert "'user'" not in said


def test_what_a_pods_dry_run_refuses_is_a_mistake_whoever_may_not_look_further(plane, namespace):
    user = allow(plane, namespace, {"jobsets": ["create", "get"], "pods": ["create"]})
    submitter = connect(kubeconfig=str(plane.kubeconfig_for(user)), namespace=namespace)
    said = refusal(plane, submitter, rendered(namespace, "queue.podPriority=urgent"))
    assert "queue.podPriority is 'urgent', but the cluster has no such PriorityClass; leave it out" in said


def test_a_topology_that_the_queue_has_not_is_refused(plane, cluster, shared):
    queue = "queue={name: accelerators, topology: cloud.google.com/gke-nodepool}"
    said = refusal(plane, cluster, rendered(shared, "slice=v6e-8", queue))
    assert "queue accelerators has no flavour with a topology for nodes with" in said


def test_a_queue_that_is_stopped_is_refused(plane, cluster, namespace):
    change = {"spec": {"stopPolicy": "Hold"}}
    plane.api.patch("ClusterQueue", f"{namespace}-accelerators", change)
    plane.api.until_one(
        lambda queue: queue["status"]["conditions"][0]["status"] == "False", "LocalQueue", "accelerators", namespace
    )
    said = refusal(plane, cluster, rendered(namespace, "slice=v6e-8", "queue.name=accelerators"))
    assert "queue accelerators admits nothing now:" in said


def test_a_queue_without_its_cluster_queue_is_refused(plane, cluster, namespace):
    metadata = {"name": "dangling", "namespace": namespace}
    plane.api.create(
        {"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": metadata, "spec": {"clusterQueue": "none"}}
    )
    plane.api.until_one(lambda queue: queue.get("status", {}).get("conditions"), "LocalQueue", "dangling", namespace)
    said = refusal(plane, cluster, rendered(namespace, "slice=v6e-8", "queue.name=dangling"))
    assert "queue dangling admits nothing now:" in said


def test_gpus_that_need_the_host_are_refused_where_the_namespace_is_restricted(plane, cluster):
    with plane.fresh_namespace(labels={ENFORCE: "restricted"}) as namespace:
        said = refusal(plane, cluster, rendered(namespace, GPUS))
        assert f"namespace {namespace} enforces the Pod Security profile 'restricted'" in said
        assert 'hostPath"' in said
        assert create(rendered(namespace), cluster)["state"] == "created"
        submitter = connect(kubeconfig=str(plane.kubeconfig_for(allow(plane, namespace, {"jobsets": ["create"]}))))
        warned = []
        create(rendered(namespace, GPUS, "run_name=second"), submitter, warn=warned.append)
        assert "its Pods, Namespace" in warned[0]


def test_the_profile_is_read_from_the_namespace_where_pods_cannot_be_judged(plane):
    with plane.fresh_namespace(labels={ENFORCE: "baseline"}) as namespace:
        user = allow(plane, namespace, {"jobsets": ["create", "get"], "namespaces": ["get"]})
        submitter = connect(kubeconfig=str(plane.kubeconfig_for(user)), namespace=namespace)
        said = refusal(plane, submitter, rendered(namespace, GPUS))
        assert "enforces the Pod Security profile 'baseline', which refuses what the pods need: hostPath" in said
        assert create(rendered(namespace), submitter)["state"] == "created"


def test_what_a_role_may_not_look_at_is_said_and_is_no_mistake(plane, submitter, namespace):
    overrides = ("service_account=trainer", "image_pull_secrets=[pull]", "queue={name: none, priority: mine}")
    warned = []
    assert create(rendered(namespace, *overrides), submitter, warn=warned.append)["state"] == "created"
    assert warned == [
        "not checked, for these credentials may not look: its Jobs, its Pods, Namespace "
        f"{namespace}, ServiceAccount trainer, Service {JOB}, Secret pull, queue none, WorkloadPriorityClass mine"
    ]


def test_a_local_queue_tells_what_is_covered_to_those_who_may_not_read_more(plane, namespace):
    user = allow(plane, namespace, {"jobsets": ["create", "get"], "localqueues": ["list"]})
    submitter = connect(kubeconfig=str(plane.kubeconfig_for(user)), namespace=namespace)
    wanted = rendered(namespace, "slice=v6e-8", "resources.cpu=8", "queue.name=accelerators")
    assert "ask for cpu, which queue accelerators does not cover" in refusal(plane, submitter, wanted)


def test_a_foreign_service_is_not_taken_for_the_jobs_own(plane, cluster, namespace):
    spec = {"clusterIP": "None", "selector": {"app": "theirs"}}
    metadata = {"name": JOB, "namespace": namespace}
    plane.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    said = refusal(plane, cluster, rendered(namespace))
    assert f"Service {namespace}/{JOB} is there already and is not this job's; choose another name" in said


@pytest.mark.parametrize("index", [0, 1])
def test_a_foreign_job_is_not_taken_for_the_jobs_own(plane, cluster, namespace, index):
    container = {"name": "c", "image": "i"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    metadata = {"name": f"{JOB}-slice-{index}", "namespace": namespace}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"suspend": True, "template": pod}}
    plane.api.create(job)
    said = refusal(plane, cluster, rendered(namespace, "slice=v5p-64", "num_slices=2"))
    assert f"Job {namespace}/{JOB}-slice-{index} is there already and is not this job's" in said


def test_what_is_left_of_an_earlier_job_is_not_taken_for_a_strangers(plane, cluster, namespace):
    service = {"clusterIP": "None", "selector": {"app": "ours"}}
    owner = {"apiVersion": KINDS["JobSet"].version, "kind": "JobSet", "name": JOB, "uid": "gone"}
    metadata = {"name": JOB, "namespace": namespace, "ownerReferences": [owner], "finalizers": ["mdctl.test/hold"]}
    plane.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    try:
        said = refusal(plane, cluster, rendered(namespace))
    finally:
        plane.api.patch("Service", JOB, {"metadata": {"finalizers": None}}, namespace)
    assert f"Service {namespace}/{JOB} is left of an earlier job of this name, and is being deleted; try again" in said


def test_a_namespace_that_is_not_there_is_named(plane, cluster):
    assert "create the namespace, or name another with --namespace" in refusal(plane, cluster, rendered("nowhere"))


def test_a_cluster_without_jobset_is_told_how_to_get_it(plane, cluster, shared, monkeypatch):
    monkeypatch.setitem(KINDS, "JobSet", Kind("absent.mdctl.test/v1", "jobsets"))
    with pytest.raises(ClusterError, match="does not know this kind; install JobSet: kubectl apply"):
        create(rendered(shared), cluster)


def test_a_cluster_without_kueue_has_no_queues(plane, cluster, shared, monkeypatch):
    monkeypatch.setitem(KINDS, "LocalQueue", Kind("absent.mdctl.test/v1", "localqueues"))
    said = refusal(plane, cluster, rendered(shared, "queue.name=accelerators"))
    assert "queue.name is 'accelerators', but the cluster has no Kueue" in said


def test_a_user_without_rights_is_told_so(plane, shared):
    nobody = connect(kubeconfig=str(plane.kubeconfig_for("nobody")), namespace=shared)
    assert "you may not; ask the cluster's administrator" in refusal(plane, nobody, rendered(shared))
