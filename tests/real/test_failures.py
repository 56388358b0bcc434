"""Hosts that fail in the middle of a run, on real nodes."""

import signal
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster.plane.api import holds
from tests.real import fault
from tests.real.jobs import exits, losses
from tests.real.training import EVERY, HOSTS, STEPS, training

SOON = 30
"""Seconds from a host's end to the job's; the grace period of its peers is ten times that."""


@pytest.fixture
def spoilt(jobs):
    """Return what lets one host of a job fail: a Secret with a program, which is mounted into its pods."""
    text = Path(fault.__file__).read_text(encoding="utf-8")
    jobs.api.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "fault", "namespace": jobs.namespace},
            "stringData": {"sitecustomize.py": text},
        }
    )
    return ["secrets=[{name: fault, mountPath: /mnt/fault}]", "environment.PYTHONPATH=/mnt/fault"]


def test_one_host_exits_2_while_its_peers_wait_and_the_job_fails_soon(jobs, demo, runs, spoilt):
    output = f"{runs}/mistaken"
    words = [*training(demo, output), *spoilt, "environment.TEST_FAULT=1,1,6"]
    jobs.submit(*words, name="mistaken")
    jobset = jobs.ended("mistaken")
    assert holds(jobset, "Failed")
    assert jobset["status"]["restarts"] == 0
    ends = exits(output, 1)
    assert [end["code"] for end in ends.values()] == [2] * HOSTS
    assert ends["host-3"]["cause"] == "a clip is damaged on this host alone"
    assert ends["host-0"]["origin"] == 3
    (failed,) = [each for each in jobset["status"]["conditions"] if each["type"] == "Failed"]
    took = datetime.fromisoformat(failed["lastTransitionTime"]).timestamp() - ends["host-3"]["time"]
    print(f"Failed {took:.1f} s after host 3 had left")
    assert took < SOON


def test_kill_9_of_one_host_and_the_job_starts_again_and_ends_right(jobs, demo, runs, undisturbed):
    output = f"{runs}/killed"
    jobs.submit(*training(demo, output), name="killed")
    pods = jobs.until_step("killed", EVERY + 2, HOSTS)
    jobs.kill(pods[2], signal.SIGKILL)
    jobset = jobs.completed("killed")
    assert jobset["status"]["restarts"] == 1
    assert [end["code"] for end in exits(output, 2).values()] == [0] * HOSTS
    assert losses(output) == losses(undisturbed[1])
    assert len(losses(output)) == STEPS
