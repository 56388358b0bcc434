import json

import pytest

from mdctl.render.jobset import render_jobset
from mdctl.spec.slices import named_slices
from tests.render.golden import FAMILIES, recipe_job

SINGLE_HOSTS = [slice_.name for slice_ in named_slices() if slice_.hosts == 1 and slice_.devices % 4 == 0]
RESTRICTED = [*(family for family in FAMILIES if not family.startswith("a")), *SINGLE_HOSTS]


def pod(*overrides):
    jobset = render_jobset(recipe_job("train-wan", *overrides))
    return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("slice_", RESTRICTED)
def test_the_restricted_profile_is_kept(slice_):
    spec = pod(f"slice={slice_}", "secrets=[{name: notes, mountPath: /secrets/notes}]")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "initContainers" not in spec
    (worker,) = spec["containers"]
    assert worker["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    allowed = {"downwardAPI", "emptyDir", "secret"}
    assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"])


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_privileged_and_no_host_network_is_used(family):
    text = json.dumps(pod(f"slice={family}"))
    assert not [word for word in ("privileged", "hostNetwork", "hostPID", "hostIPC", "hostPort") if word in text]


def test_what_the_user_did_not_name_is_not_named():
    spec = pod()
    names = ("serviceAccountName", "priorityClassName", "imagePullSecrets", "schedulerName")
    assert not [name for name in names if name in spec]
    assert "secret" not in json.dumps(spec)


def test_what_the_user_named_is_named():
    spec = pod(
        "service_account=trainer",
        "queue.podPriority=high",
        "image_pull_secrets=[registry]",
        "secrets=[{name: notes, mountPath: /secrets/notes}]",
        "image=registry.example/mdctl:mine",
    )
    assert spec["serviceAccountName"] == "trainer"
    assert spec["priorityClassName"] == "high"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["volumes"][-1] == {"name": "secret-0", "secret": {"secretName": "notes"}}
    mount = {"name": "secret-0", "mountPath": "/secrets/notes", "readOnly": True}
    assert mount in spec["containers"][0]["volumeMounts"]
    assert spec["containers"][0]["image"] == "registry.example/mdctl:mine"


def test_cpu_and_memory_are_asked_for_only_where_the_spec_does():
    resources = pod("resources={cpu: '100', memory: 300Gi, sharedMemory: 64Gi}")
    assert resources["containers"][0]["resources"] == {
        "requests": {"cpu": "100", "memory": "300Gi", "google.com/tpu": "4"},
        "limits": {"google.com/tpu": "4"},
    }
    assert resources["volumes"][1]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Gi"}
    assert pod()["containers"][0]["resources"]["requests"] == {"google.com/tpu": "4"}


def test_signals_reach_python_and_the_image_is_our_own():
    (worker,) = pod("slice=h100-8")["containers"]
    assert worker["command"] == ["python", "-m", "mdctl.runtime", "/etc/mdctl/job.yaml"]
    assert worker["image"].startswith("mdctl:")
    assert worker["image"].endswith("-gpu")


def test_a_pod_ends_for_good_and_has_its_grace():
    spec = pod("restarts.gracePeriodSeconds=120")
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 120
