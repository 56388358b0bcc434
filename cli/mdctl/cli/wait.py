"""`mdctl wait`."""

from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect
from mdctl.cli.durations import seconds
from mdctl.cluster.goals import Goal
from mdctl.spec.exit_codes import TIMED_OUT

For = Annotated[Goal, typer.Option("--for", help="What it is to be.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="TIME", parser=seconds, help="Give up after 45s, 10m, 1h30m, ..."),
]


def wait(
    job: JobName,
    *,
    goal: For = Goal.COMPLETED,
    timeout: Timeout = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Wait until a job has completed, or is as you say.

    Leaves with 0 once it is; with the job's own exit code where it fails instead; with 124 where it takes too long.

    \b
    mdctl wait train-wan-x7k2p && mdctl artifacts train-wan-x7k2p
    mdctl wait train-wan-x7k2p --for running --timeout 30m
    """
    from mdctl.cluster.waiting import wait_for

    code = wait_for(connect(context, kubeconfig, namespace), job, goal, seconds=timeout, say=output.note)
    if code is None:
        output.note(f"{job}: not {goal} in time")
        return TIMED_OUT
    return code
