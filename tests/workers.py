"""Real workers on a job so small that a step takes milliseconds; what they compiled is shared by all tests."""

import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml

from mdctl.models.wan.config import WanConfig
from mdctl.spec.environment import RUN, Place
from mdctl.spec.merging import merge

PATIENCE = 240.0
"""Seconds after which a worker that says nothing has failed the test; the machine may be busy."""

SOON = 20.0
"""Seconds within which something happens that nothing has to be computed for."""

SMALL = WanConfig(num_attention_heads=4, attention_head_dim=8, text_dim=8, ffn_dim=16, num_layers=1, freq_dim=8)

STEPS = 40

KILLER = Path(__file__).parent / "runtime" / "killer.py"

JOB = {
    "apiVersion": "mdctl.dev/v1alpha1",
    "kind": "DiffusionJob",
    "metadata": {"name": "small"},
    "spec": {
        "task": "train",
        "model": {"name": "wan2.1-t2v-tiny", "initialisation": "random", "activationsDtype": "float32"},
        "slice": "cpu-1x1",
        "attention": {"kernel": "dot_product"},
        "remat": "none",
        "video": {"height": 32, "width": 32, "frames": 5},
        "batch": {"globalSize": 4},
        "data": {"type": "synthetic", "synthetic": {"numSamples": 6}},
        "training": {
            "steps": STEPS,
            "logEvery": 1,
            "optimizer": {"learningRate": 1.0e-3},
            "ema": {"decay": 0.9},
            "checkpoint": {"every": 5, "keep": 2},
        },
    },
}


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    (folder / "transformer").mkdir()
    (folder / "transformer" / "config.json").write_text(json.dumps(SMALL.to_published()))
    return folder


@pytest.fixture(scope="session")
def write_job(compiled, repository):
    """Write the small job with some changes to a file, and return it."""

    def write(folder, output, **spec):
        fixed = {"model": {"weights": str(repository)}, "outputDir": str(output)}
        fixed["compilationCacheDir"] = str(compiled)
        job = merge(merge(JOB, {"spec": fixed}), {"spec": spec})
        path = folder / "job.yaml"
        path.write_text(yaml.safe_dump(job))
        return path

    return write


class Process:
    """A process whose lines can be waited for."""

    def __init__(self, command, **environment):
        quick = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=os.environ | quick | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = []
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def expect(self, *texts):
        """Return the next line that holds all of the texts."""
        while (line := self._next()) is not None:
            if all(text in line for text in texts):
                return line
        raise AssertionError(f"{texts} was never said:\n" + "".join(self.said))

    def end(self):
        """Return the exit code, once it is there."""
        while self._next() is not None:
            pass
        return self.process.wait(PATIENCE)

    def close(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)  # what it started ends with it, and with that its output
        self.process.stdout.close()

    def _next(self):
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError("nothing more was said:\n" + "".join(self.said)) from None
        if line is not None:
            self.said.append(line)
        return line

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory, write_job):
    """Return the output of the small job, left alone on one host."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    worker = Process(["-m", "mdctl.runtime", write_job(folder, folder / "out")])
    assert worker.end() == 0, "".join(worker.said)
    worker.close()
    return folder / "out"


def metrics(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def losses(output):
    return {record["step"]: record["loss"] for record in metrics(output)}


@pytest.fixture
def start():
    """Start processes that are gone after the test."""
    processes = []

    def start(*command, **environment):
        processes.append(Process(command, **environment))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


@pytest.fixture
def start_hosts(start):
    """Start one worker for each job file, as the hosts of one job; `programs` may stand in for the worker."""

    def start_hosts(*jobs, programs=(), **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            coordinator = f"127.0.0.1:{probe.getsockname()[1]}"
        places = [Place(coordinator=coordinator, hosts_per_slice=len(jobs), host_index=n) for n in range(len(jobs))]
        return [
            start(*(program or ("-m", "mdctl.runtime")), job, **{RUN: "test"}, **place.environment(), **environment)
            for job, place, program in zip_longest(jobs, places, programs)
        ]

    return start_hosts


def pid_of(line):
    return json.loads(line)["pid"]


def ends(pid):
    """Return whether a process that is not our child is gone soon."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], SOON)[0])
    finally:
        os.close(handle)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
