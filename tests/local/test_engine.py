"""The local engine: what it makes of the workers' ends, and that it leaves none behind."""

import signal
from pathlib import Path

import pytest

from mdctl.local.engine import exit_code, run_local
from mdctl.spec.errors import SpecError
from mdctl.spec.reading import read_job
from tests.workers import ends, kill

ENGINE = """
import sys
from pathlib import Path
from mdctl.local.engine import run_local
from mdctl.spec.reading import read_job
sys.exit(run_local(read_job(Path(sys.argv[1])), write=lambda line: print(line, flush=True)))
"""


@pytest.fixture
def engine(tmp_path, write_job, start):
    """Start the engine on a job of two processes, as a process of its own."""

    def run(**spec):
        job = write_job(tmp_path, tmp_path / "out", slice="cpu-2x1", **spec)
        return start("-c", ENGINE, job)

    return run


def pids(engine, count):
    """Return the workers' process ids, once each has begun."""
    return {int(engine.expect("attempt begins").split("pid ")[1]) for _ in range(count)}


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ([0, 0], 0),
        ([0, 2], 2),
        ([76, 3, 76], 3),
        ([76, 76], 76),
        ([75, 75], 75),
        ([76, 137], 1),
        ([1, 76], 1),
        ([143], 1),
    ],
)
def test_the_first_cause_counts_and_a_lost_peer_is_none(hosts, code):
    assert exit_code(hosts) == code


def test_a_slice_of_a_cluster_is_not_run_here(tmp_path, write_job):
    with pytest.raises(SpecError, match=r"slice v5p-8 is not on this machine; run it locally on cpu-1x1"):
        run_local(read_job(write_job(tmp_path, tmp_path / "out", slice="v5p-8")))


def test_it_passes_signals_on_and_returns_what_the_hosts_agreed_on(engine):
    running = engine()
    workers = pids(running, 2)
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 75
    assert all(line.startswith(("[0] ", "[1] ")) for line in running.said)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_it_returns_the_code_of_hosts_that_fail(engine):
    running = engine(timeouts={"compileMinutes": 0.0001})
    running.expect("hung: fetching weights")
    assert running.end() == 76


def test_no_worker_outlives_it(engine):
    running = engine()
    workers = pids(running, 2)
    kill(running.process.pid)
    assert all(ends(pid) for pid in workers)
