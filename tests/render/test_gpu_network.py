import json

import pytest
import yaml

from mdctl.render.gpu_network import gpu_network
from mdctl.render.jobset import render_jobset
from mdctl.spec.accelerators import GPUS
from mdctl.spec.slices import resolve_slice
from tests.render.golden import recipe_job


def network(machine):
    return gpu_network(resolve_slice(f"{machine}:2"))


def pod(*overrides):
    jobset = render_jobset(recipe_job("train-wan", *overrides))
    return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]


@pytest.mark.parametrize(
    ("family", "networks"),
    [
        ("a3-high", [f"vpc{n}" for n in range(1, 5)]),
        ("a3-mega", [f"vpc{n}" for n in range(1, 9)]),
        ("a3-ultra", ["gvnic-1", *(f"rdma-{n}" for n in range(8))]),
        ("a4", ["gvnic-1", *(f"rdma-{n}" for n in range(8))]),
    ],
)
def test_each_machine_has_its_interfaces(family, networks):
    interfaces = json.loads(network(family).annotations["networking.gke.io/interfaces"])
    assert [interface["network"] for interface in interfaces] == ["default", *networks]
    assert [interface["interfaceName"] for interface in interfaces] == [f"eth{n}" for n in range(len(networks) + 1)]


@pytest.mark.parametrize("family", ["a3-high", "a3-mega"])
def test_a_daemon_does_not_keep_the_job_from_ending(family):
    (daemon,) = network(family).sidecars
    assert daemon["restartPolicy"] == "Always"
    assert "resources" not in daemon, "a queue may cover accelerators only"
    devices = yaml.safe_load(network(family).annotations[f"devices.gke.io/container.{daemon['name']}"])
    assert {"path": "/dev/nvidia7"} in devices


@pytest.mark.parametrize("machine", GPUS, ids=lambda machine: machine.name)
def test_one_machine_needs_no_network(machine):
    single = pod(f"slice={machine.name}:1", "mesh.ici.context=1", "batch.perDevice=1")
    assert not [key for key in single["metadata"]["annotations"] if "gke.io" in key]
    assert "hostPath" not in json.dumps(single)
    assert "NCCL" not in json.dumps(single)


@pytest.mark.parametrize("machine", [machine for machine in GPUS if machine.network], ids=lambda machine: machine.name)
def test_every_mount_has_its_volume(machine):
    spec = pod(f"slice={machine.name}:2")["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert len(volumes) == len(spec["volumes"])
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_two_slices_of_one_machine_talk_over_the_network_too():
    assert "NCCL_NET" in json.dumps(pod("slice=h200-8", "num_slices=2"))


def test_machines_without_a_network_talk_over_that_of_the_pod():
    several = pod("slice=h100-1", "num_slices=2", "mesh.ici.context=1", "batch.perDevice=1")
    assert several["spec"]["nodeSelector"]["node.kubernetes.io/instance-type"] == "a3-highgpu-1g"
    assert "NCCL" not in json.dumps(several)


def test_receive_threads_stay_on_the_socket_of_their_interface():
    environment = network("a3-high").environment
    assert environment["NCCL_GPUDIRECTTCPX_TX_BINDINGS"] == (
        "eth1:8-21,112-125;eth2:8-21,112-125;eth3:60-73,164-177;eth4:60-73,164-177"
    )


def test_nccl_is_tuned_for_the_machine():
    key = "NCCL_TUNER_CONFIG_PATH"
    assert network("a3-ultra").environment[key] != network("a4").environment[key]
