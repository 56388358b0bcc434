"""`mdctl generate` from a file: the prompts are divided among four pods, which are killed while they make them."""

import hashlib
import random
import signal
import threading
from contextlib import suppress

import pytest

from tests.cluster.plane.api import NotFoundError, holds
from tests.cluster.plane.pods import is_running
from tests.real.jobs import LONG, blob, lines, names_in, text, until

PROMPTS = 20
SHARDS = 4
KILLED = 8

_never = threading.Event()


@pytest.fixture
def prompts(demo, runs):
    """Return the place of a file of twenty prompts."""
    captions = text(f"{demo}/prompts.txt").splitlines()
    made = [f"{captions[number % len(captions)]} Take {number}." for number in range(PROMPTS)]
    place = f"{runs}/prompts.txt"
    blob(place).upload_from_string("\n".join(made))
    return place, made


def test_twenty_prompts_are_made_once_each_however_often_pods_are_killed(jobs, real, demo, runs, undisturbed, prompts):
    place, made = prompts
    output = f"{runs}/generated"
    words = [
        *("generate", "--prompts-file", place, "--size", "small", "--slice", "v5p-8", "--num-slices", str(SHARDS)),
        *("--checkpoint", undisturbed[1], "--output-dir", output),
        f"model.weights={demo}/model",
        f"compilationCacheDir={demo}/compiled",
        "batch.globalSize=1",
        "restarts.max=50",
    ]
    with real.hosts_alone():
        jobs.mdctl(*jobs.words(*words, name="generated"))
        killed = kill_at_random(jobs, "generated", f"{output}/samples")
        jobset = jobs.completed("generated")
    assert jobset["status"]["restarts"] == 0
    assert len(killed) == KILLED
    records = lines(text(f"{output}/samples/manifest.jsonl"))
    assert sorted(record["prompt"] for record in records) == sorted(made)
    samples = names_in(f"{output}/samples")
    assert len([name for name in samples if name.endswith(".mp4")]) == PROMPTS
    for record in records:
        content = blob(f"{output}/samples/{record['file']}").download_as_bytes()
        assert hashlib.sha256(content).hexdigest() == record["sha256"]


def kill_at_random(jobs, name, samples):
    """Kill pods of a job one after the other, in one of two ways; return their names.

    In turn at some moment, mostly before a pod has made anything, and as soon as one more sample is there.
    """
    chance, killed = random.Random(0), []
    while len(killed) < KILLED and not is_over(jobs, name):
        if len(killed) % 2:
            await_another(jobs, name, samples)
        else:
            _never.wait(chance.uniform(2, 15))
        running = [pod for pod in jobs.pods(name) if is_running(pod)]
        if not running:
            continue
        pod = chance.choice(running)
        with suppress(StopIteration, ProcessLookupError, NotFoundError):  # it ended by itself meanwhile
            if chance.random() < 0.5:
                jobs.kill(pod, signal.SIGKILL)
            else:
                jobs.api.delete("Pod", pod["metadata"]["name"], jobs.namespace)
            killed.append(pod["metadata"]["name"])
    return killed


def await_another(jobs, name, samples):
    """Wait until one more sample is there, or the job is over."""
    before = names_in(samples)
    until(lambda: names_in(samples) != before or is_over(jobs, name), LONG, "one more sample")


def is_over(jobs, name):
    """Say whether a job has ended."""
    jobset = jobs.api.get("JobSet", name, jobs.namespace)
    return any(holds(jobset, end) for end in ("Completed", "Failed"))
