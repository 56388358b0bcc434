"""`mdctl exec`."""

from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli.connection import Context, JobName, Kubeconfig, Namespace, connect

if TYPE_CHECKING:
    from mdctl.cluster.execute import Remote

Host = Annotated[int, typer.Option("--host", metavar="N", min=0, help="The host, numbered as in its logs.")]
Command = Annotated[
    list[str], typer.Argument(metavar="-- COMMAND...", help="The command and its words.", show_default=False)
]


def execute(
    job: JobName,
    command: Command,
    *,
    host: Host = 0,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Run a command beside a job's worker.

    On a terminal it has one of its own; otherwise it reads what is piped in. Leaves with the command's exit code.

    \b
    mdctl exec train-wan-x7k2p -- bash
    mdctl exec train-wan-x7k2p --host 3 -- python -c 'import jax; print(jax.devices())'
    """
    from mdctl.cli.terminal import has_terminal
    from mdctl.cluster.execute import execute as start
    from mdctl.cluster.execute import find_pod
    from mdctl.cluster.jobs import find_job

    cluster, tty = connect(context, kubeconfig, namespace), has_terminal()
    pod = find_pod(cluster, find_job(cluster, job), host)
    return _converse(start(cluster, pod, command, tty=tty, stdin=True), tty)


def _converse(remote: "Remote", tty: bool) -> int:
    """Pass on what goes in and out until the command ends."""
    from mdctl.cli import output
    from mdctl.cli.terminal import feed, raw_terminal
    from mdctl.cluster.execute import STDERR

    try:
        with raw_terminal(remote.resize if tty else None):
            feed(remote.send, remote.end_input)
            for piece in remote.pieces():
                output.raw(piece.content, err=piece.channel == STDERR)
        return remote.code()
    finally:
        remote.close()
