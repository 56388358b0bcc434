"""Output directories that real workers wrote, once for all tests of a run.

trained      three attempts: a host of two killed; told to stop; done, on one host
generated    two videos
mistaken     one attempt, which ended with a mistake of the user's
"""

import os
import shutil
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from mdctl.spec.environment import RUN, Place
from tests.buckets import addresses, make_bucket, upload
from tests.workers import KILLER, Process, kill, pid_of

PROMPTS = ["waves on the left", "waves on the right"]


@pytest.fixture(scope="session")
def written(tmp_path_factory, write_job):
    """Return the folder that holds them; the processes of a test run share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root, work = shared / "outputs", tmp_path_factory.mktemp("jobs")
    with FileLock(shared / "outputs.lock"), ExitStack() as processes:
        if not (root / "trained").exists():
            made = shared / "outputs.new"
            shutil.rmtree(made, ignore_errors=True)
            for name, write in {"generated": generate, "mistaken": mistake, "trained": train}.items():
                write(made / name, work, write_job, processes)
            made.rename(root)
    return root


@pytest.fixture(scope="session")
def uploaded(written, emulator):
    """Return a copy at `gs://` of what workers wrote, which no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in addresses(emulator).items():
            patch.setenv(name, value)
        location = f"{make_bucket()}/runs"
        upload(written, location)
    return location


def train(output, work, write_job, processes):
    job = write_job(work, output, slice="cpu-2x1", training={"steps": 1000})
    first, second = start_two(job, processes)
    pid = pid_of(second.expect("attempt begins"))
    first.expect('"step": 7')
    kill(pid)
    assert (first.end(), second.end()) == (76, 137)
    first, second = start_two(job, processes)
    first.expect('"step": 12')
    second.process.send_signal(signal.SIGTERM)
    assert (first.end(), second.end()) == (75, 75)
    ends(start(processes, "-m", "mdctl.runtime", write_job(work, output), **{RUN: "trained"}), 0)


def generate(output, work, write_job, processes):
    from mdctl.demo.prepare import write_model

    clips = np.random.default_rng(0).uniform(-1, 1, (2, 17, 64, 64, 3)).astype(np.float32)
    write_model(work / "model", clips, PROMPTS)
    overrides = ["model.checkpoint=null", "model.initialisation=random", "batch.globalSize=1", "sampling.steps=1"]
    arguments = [*PROMPTS, *overrides, f"model.weights={work / 'model'}", "--output-dir", output, "--local"]
    ends(start(processes, Path(sys.executable).with_name("mdctl"), "generate", *arguments), 0)


def mistake(output, work, write_job, processes):
    ends(start(processes, KILLER, "full-3", write_job(work, output)), 2)


def start_two(job, processes):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{probe.getsockname()[1]}"
    places = [Place(coordinator=coordinator, hosts_per_slice=2, host_index=host) for host in range(2)]
    return [start(processes, "-m", "mdctl.runtime", job, **{RUN: "trained"}, **place.environment()) for place in places]


def start(processes, *command, **environment):
    process = Process(command, **environment)
    processes.callback(process.close)
    return process


def ends(process, code):
    assert process.end() == code, "".join(process.said)
