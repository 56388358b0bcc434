"""Runs xpk many times in one process of its own environment: starting it takes ten times as long as what it does.

.venv-xpk/bin/python -m tests.xpk.manifests < commands        JSON: a list of lists of words, each after `xpk`

Prints JSON: for each its exit code and what it said. HOME is a folder that nobody needs.
"""

import contextlib
import io
import json
import os
import sys

os.environ["TELEMETRY_ENABLED"] = "false"  # before xpk is imported, which reads it then

from xpk import main as program


def run(words: list[str]) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    said = io.StringIO()
    sys.argv = ["xpk", *words]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            program.main()
    except SystemExit as leaving:
        return int(leaving.code or 0), said.getvalue()
    return 0, said.getvalue()


json.dump([run(words) for words in json.load(sys.stdin)], sys.stdout)
