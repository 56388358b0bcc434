"""The index of the `mdctl` command: every verb, one file each."""

import gc
import os

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins takes longer than a spec

import typer

from mdctl.cli import cluster, config, recipes
from mdctl.cli.artifacts import artifacts
from mdctl.cli.cancel import cancel
from mdctl.cli.capacity import capacity
from mdctl.cli.delete import delete
from mdctl.cli.doctor import doctor
from mdctl.cli.events import events
from mdctl.cli.exec import execute
from mdctl.cli.generate import generate
from mdctl.cli.list import list_
from mdctl.cli.logs import logs
from mdctl.cli.output import run
from mdctl.cli.queues import queues
from mdctl.cli.render import render
from mdctl.cli.resubmit import resubmit
from mdctl.cli.resume import resume
from mdctl.cli.schema import schema
from mdctl.cli.slices import slices
from mdctl.cli.status import status
from mdctl.cli.submit import submit
from mdctl.cli.suspend import suspend
from mdctl.cli.validate import validate
from mdctl.cli.version import version
from mdctl.cli.wait import wait
from mdctl.cli.watch import watch
from mdctl.spec.exit_codes import EXIT_CODES

app = typer.Typer(
    name="mdctl",
    help="""Train diffusion models, and make videos with them, on TPU and GPU slices or on this computer.

    \b
    mdctl submit train-wan --local               train a small model here
    mdctl generate "a red fox" --local           make a video with it
    mdctl render train-wan --slice v5p-64        print what Kubernetes would get
    mdctl submit train-wan --slice v5p-64 --output-dir gs://bucket/runs/1 data.path=gs://bucket/clips
    """,
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    rich_markup_mode=None,  # plain help starts in half the time
    pretty_exceptions_enable=False,
)

app.command()(submit)
app.command()(generate)
app.command(name="list")(list_)
app.command()(status)
app.command()(watch)
app.command()(logs)
app.command()(events)
app.command()(artifacts)
app.command()(wait)
app.command()(suspend)
app.command()(resume)
app.command()(cancel)
app.command()(resubmit)
app.command()(delete)
app.command(name="exec")(execute)
app.command()(queues)
app.command()(capacity)
app.command()(render)
app.command()(validate)
app.add_typer(recipes.app)
app.command()(slices)
app.command()(schema)
app.add_typer(config.app)
app.command()(doctor)
app.add_typer(cluster.app)
app.command()(version)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(50_000)  # starting makes many objects and no garbage: looking for it takes a tenth of the time
    run(app)
