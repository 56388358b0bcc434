import subprocess
import sys

import pytest

SUPERVISED = """
import sys
from mdctl.runtime.supervisor import Supervisor

supervisor = Supervisor([], [])
supervisor._command = [sys.executable, "-c", sys.argv[1]]
sys.exit(supervisor.run())
"""

WORKER = """
import os
from mdctl.runtime.lifeline import Lifeline

lifeline = Lifeline.inherited(os.environ)
"""


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("os._exit(2)", 2),
        ("os.abort()", 134),
        ("lifeline.tell(code=2); os.abort()", 2),
        ("lifeline.tell(code=0); os.kill(os.getpid(), 9)", 0),
        ("lifeline.tell(record='/nowhere/exit.json'); os.abort()", 134),
    ],
)
def test_a_worker_ends_as_it_said_whatever_happens_while_it_takes_leave(does, code):
    run = subprocess.run([sys.executable, "-c", SUPERVISED, WORKER + does], capture_output=True, check=False)
    assert run.returncode == code
