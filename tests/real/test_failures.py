"""Hosts that fail in the middle of a run, on real nodes."""

import signal
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster.plane.api import holds
from tests.real import fault
from tests.real.jobs import exit_codes, losses
from tests.real.training import EVALUATION, EVERY, HOSTS, STEPS, training

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
    ends = [pod["status"]["containerStatuses"][0]["state"]["terminated"] for pod in jobs.pods("mistaken")]
    assert [end["exitCode"] for end in ends] == [2] * HOSTS
    first = min(at(end["finishedAt"]) for end in ends)
    (failed,) = [each for each in jobset["status"]["conditions"] if each["type"] == "Failed"]
    assert (at(failed["lastTransitionTime"]) - first).total_seconds() < SOON
    assert exit_codes(output, 1) == {f"host-{rank}": 2 for rank in range(HOSTS)}
    assert "a clip is damaged on this host alone" in ends[3]["message"]


def test_kill_9_of_one_host_and_the_job_starts_again_and_ends_right(jobs, demo, runs, undisturbed):
    output = f"{runs}/killed"
    jobs.submit(*training(demo, output), *EVALUATION, name="killed")
    pods = jobs.until_step("killed", EVERY + 2, HOSTS)
    jobs.kill(pods[2], signal.SIGKILL)
    jobset = jobs.completed("killed")
    assert jobset["status"]["restarts"] == 1
    assert exit_codes(output, 2) == {f"host-{rank}": 0 for rank in range(HOSTS)}
    assert losses(output) == losses(undisturbed[1])
    assert len(losses(output)) == STEPS


def at(time: str) -> datetime:
    return datetime.fromisoformat(time)
