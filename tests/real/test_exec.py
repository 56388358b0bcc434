"""`mdctl exec`: a command beside a worker in a real pod, which a real kubelet runs."""

from tests.real.jobs import text
from tests.real.training import HOSTS, training

PROGRAM = """
import os, sys
print(os.environ["MDCTL_SLICE_INDEX"], os.environ["MDCTL_HOST_INDEX"], sys.stdin.read(), end="")
print("and this is an error", file=sys.stderr)
sys.exit(7)
"""


def test_a_command_runs_beside_a_worker_and_what_goes_in_and_out_and_its_exit_code_are_passed_on(jobs, demo, runs):
    jobs.submit(*training(demo, f"{runs}/entered"), name="entered")
    jobs.running("entered", HOSTS)
    place = ["--namespace", jobs.namespace, "--host", "2"]
    run = jobs.mdctl("exec", "entered", *place, "--", "python", "-c", PROGRAM, check=False, given="what was piped in\n")
    assert (run.returncode, run.stdout, run.stderr) == (7, "1 0 what was piped in\n", "and this is an error\n")
    program = "from etils import epath; import sys; print(epath.Path(sys.argv[1]).read_text(), end='')"
    run = jobs.mdctl("exec", "entered", *place, "--", "python", "-c", program, f"{demo}/prompts.txt")
    assert run.stdout == text(f"{demo}/prompts.txt")  # more than one message, and only what the command wrote
    missing = jobs.mdctl("exec", "entered", *place, "--", "no-such-program", check=False)
    assert missing.returncode != 0
    assert "no-such-program" in missing.stderr
    assert "Traceback" not in missing.stderr
