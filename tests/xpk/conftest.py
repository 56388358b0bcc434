"""The test cluster, on which xpk looks for our jobs as it would on one that it made."""

from tests.cli.conftest import folder, mdctl
from tests.cluster.conftest import namespace, plane, pytest_configure, pytest_runtest_setup

__all__ = ["folder", "mdctl", "namespace", "plane", "pytest_configure", "pytest_runtest_setup"]
