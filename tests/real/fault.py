"""Mounted into pods as `sitecustomize`: one host comes to grief before its N-th piece of work, its peers at theirs.

TEST_FAULT is `SLICE,HOST,N`. The fault is a mistake of the user, as a damaged clip would be.
"""

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

WHERE = "mdctl.runtime.agreement"


class Spoiler(MetaPathFinder):
    """Spoils one module once it is loaded."""

    def find_spec(self, fullname, path, target=None):
        if fullname != WHERE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            spoil(module)

        spec.loader.exec_module = exec_module
        return spec


def spoil(module):
    from mdctl.spec.errors import DataError

    go_on = module.Agreement.go_on

    def go_on_or_fail(self):
        if self._begun == number - 1:
            raise DataError("a clip is damaged on this host alone")
        return go_on(self)

    module.Agreement.go_on = go_on_or_fail


if fault := os.environ.get("TEST_FAULT"):
    slice_index, host_index, number = map(int, fault.split(","))
    here = (os.environ.get("MDCTL_SLICE_INDEX"), os.environ.get("MDCTL_HOST_INDEX"))
    if here == (str(slice_index), str(host_index)):
        sys.meta_path.insert(0, Spoiler())
