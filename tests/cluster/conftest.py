"""A real control plane for tests: one in each session, started by the first test that needs it.

A test that runs pods says on which pools, so that no other test has them meanwhile:

    @pytest.mark.nodes("v5p")
    def test_...(plane, namespace):

One that disturbs everybody, such as by stopping the API server, is marked `alone`.

MDCTL_TEST_CLUSTER names the folder of one that runs already (`make cluster`), which is then used instead.
"""

import fcntl
import gc
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mdctl.cluster.client import connect
from tests.cluster.plane.build import unavailable
from tests.cluster.plane.components import REPOSITORY
from tests.cluster.plane.plane import Plane
from tests.cluster.rendered import JOB, rendered

RUNNING = "MDCTL_TEST_CLUSTER"


def pytest_configure(config):
    config.addinivalue_line("markers", "nodes(*families): the node pools that a test has to itself")
    config.addinivalue_line("markers", "alone: a test has the whole cluster to itself")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip what needs a cluster where none can be had, in one line; in CI that is a failure."""
    reason = unavailable() if "plane" in item.fixturenames and RUNNING not in os.environ else None
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """Yield the session's control plane."""
    found = Plane.load(_folder(tmp_path_factory))
    yield found
    found.close()


@pytest.fixture
def namespace(plane, request):
    """Yield a fresh namespace with queues, and what `nodes` marks."""
    families = {family for mark in request.node.iter_markers("nodes") for family in mark.args}
    alone = request.node.get_closest_marker("alone") is not None
    with plane.fresh_namespace(families, alone=alone) as name:
        yield name
    if alone:
        _forget_connections()


@pytest.fixture
def cluster(plane, namespace):
    """Return the client of a user who may do everything, in the test's namespace."""
    return connect(kubeconfig=str(plane.kubeconfig), namespace=namespace)


@pytest.fixture
def submit(cluster, namespace):
    """Return a function that creates a job."""

    def create(*overrides, name=JOB, labels=None):
        return cluster.create(rendered(namespace, *overrides, f"run_name={name}", labels=labels))

    return create


@pytest.fixture
def kubeconfig(plane):
    """Return the kubeconfig of a user who may do everything."""
    return plane.kubeconfig


def _forget_connections():
    """Collect what a killed API server left half open, here, where it is not taken for the next test's fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _folder(tmp_path_factory) -> Path:
    if running := os.environ.get(RUNNING):
        return Path(running)
    folder: Path = tmp_path_factory.getbasetemp()
    owner = os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder, owner = folder.parent, os.getppid()
    folder /= "cluster"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = folder.with_suffix(".answer")
        if not answer.exists():
            command = [sys.executable, "-m", "tests.cluster.plane", "up", f"--dir={folder}", f"--owner={owner}"]
            run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            answer.write_text(f"{run.returncode} {run.stderr}")
    code, _, said = answer.read_text().partition(" ")
    assert int(code) == 0, said
    return folder
