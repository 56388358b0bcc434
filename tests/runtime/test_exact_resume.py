"""Killed and resumed on real clips, as compiled for a user: no optimisation is off, and each attempt compiles anew."""

import json

import pytest

from mdctl.models.wan.config import WanConfig
from mdctl.spec.shapes import PixelShape
from tests.runtime.arrays import arrays, assert_identical
from tests.runtime.clips import NUM_CLIPS, write_clip, write_inputs
from tests.workers import KILLER, losses, metrics

SHAPE = PixelShape(17, 64, 64)
STEPS = 30
AS_FOR_A_USER = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "JAX_ENABLE_COMPILATION_CACHE": "0"}
KILLS = (("step-3", 0), ("seal-10", 0), ("step-13", -1), ("seal-20", 0))
"""Where a host is killed, and which: rank 0 writes seals. Saves are every five steps."""


@pytest.fixture
def run(write_job, start_hosts, tmp_path):
    """Run an attempt of the job until all its hosts have ended; return their exit codes."""
    inputs = write_inputs(tmp_path, SHAPE, WanConfig.tiny())

    def run(name, hosts, kill=None):
        (tmp_path / name).mkdir(exist_ok=True)
        training = {"steps": STEPS, "optimizer": {"learningRate": 3.0e-3}}
        place = {"slice": "cpu-1x1" if hosts == 1 else f"cpu-{hosts}x2"}
        job = write_job(tmp_path / name, tmp_path / name / "out", **inputs, **place, training=training)
        programs = [None] * hosts
        if kill is not None:
            point, host = kill
            programs[host] = (KILLER, point)
        workers = start_hosts(*[job] * hosts, programs=programs, **AS_FOR_A_USER)
        return [worker.end() for worker in workers]

    return run


@pytest.mark.heavy
@pytest.mark.parametrize("hosts", [1, 2])
def test_a_killed_run_on_clips_ends_where_one_that_was_left_alone_ends(tmp_path, run, hosts):
    assert run("alone", hosts) == [0] * hosts
    alone, killed = tmp_path / "alone/out", tmp_path / "killed/out"
    for kill in KILLS:
        codes = run("killed", hosts, kill)
        assert codes.pop(kill[1]) == -9
        assert set(codes) <= {76}
    write_clip(tmp_path / "clips", NUM_CLIPS, SHAPE)
    assert run("killed", hosts) == [0] * hosts
    assert json.loads((killed / "attempts/0005/attempt.json").read_text())["progress"] == 15
    assert [record["step"] for record in metrics(killed)] == list(range(1, STEPS + 1))
    assert losses(killed) == losses(alone)
    assert losses(alone)[STEPS] < losses(alone)[1]
    assert_identical(arrays(killed, STEPS), arrays(alone, STEPS))
