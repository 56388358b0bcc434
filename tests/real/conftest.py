"""Real nodes for tests: those that run already (`make cluster-real`), or a cluster of the session's own.

MDCTL_TEST_REAL names the folder of another one.
"""

import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.buckets import upload
from tests.cluster.plane.build import cache
from tests.real import bucket
from tests.real.__main__ import DEFAULT
from tests.real.cluster import RealCluster, down, up
from tests.real.jobs import Jobs, bucket_of, client
from tests.real.training import EVALUATION, training


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for are left out
def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def real():
    """Yield the cluster."""
    folder = Path(os.environ.get("MDCTL_TEST_REAL", DEFAULT))
    with suppress(FileNotFoundError):
        found = RealCluster(folder)
        if found.alive:
            yield found
            found.plane.close()
            return
    found = up(folder)
    yield found
    found.plane.close()
    down(folder)


@pytest.fixture(scope="session", autouse=True)
def addresses():
    """Let this process take the emulator for the real thing."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def demo(real):
    """Return `gs://` of clips, prompts and a model, as the demo prepares them."""
    folder = cache().with_name("demo")
    command = [sys.executable, "-m", "mdctl.demo", "prepare", "--output", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    location = bucket_of("mdctl-demo")
    for part in ("clips", "model"):
        upload(folder / part, f"{location}/{part}")
    client().bucket(location.removeprefix("gs://")).blob("prompts.txt").upload_from_filename(folder / "prompts.txt")
    return location


@pytest.fixture(scope="session")
def runs(real):
    """Return `gs://` of a bucket for what jobs write."""
    return bucket_of(f"mdctl-{secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def namespace_of_jobs(real, tmp_path_factory):
    """Yield the jobs of a fresh namespace; none is left after the session."""
    namespace = real.plane.namespace(f"t-{secrets.token_hex(4)}")
    real.queues.create(namespace)
    found = Jobs(real, namespace, tmp_path_factory.mktemp("settings"))
    yield found
    found.delete_all()
    real.api.delete("Namespace", namespace)
    real.queues.delete(namespace)


@pytest.fixture
def jobs(namespace_of_jobs):
    """Return the session's jobs; those that a test left running end with it, so that the next one has the nodes."""
    yield namespace_of_jobs
    namespace_of_jobs.delete_all(only_running=True)


@pytest.fixture(scope="session")
def undisturbed(namespace_of_jobs, demo, runs):
    """Return the name and the output of a training job that nobody disturbs; it is over."""
    output = f"{runs}/undisturbed"
    namespace_of_jobs.submit(*training(demo, output), *EVALUATION, name="undisturbed")
    namespace_of_jobs.completed("undisturbed")
    return "undisturbed", output
