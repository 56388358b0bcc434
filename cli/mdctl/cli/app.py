"""The index of the `mdctl` command: every verb, one file each."""

import gc
import os

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins takes longer than a spec

import typer

from mdctl.cli.output import run
from mdctl.cli.verbs import group_of
from mdctl.spec.exit_codes import EXIT_CODES

VERBS = {
    "submit": "submit:submit",
    "generate": "generate:generate",
    "list": "list:list_",
    "status": "status:status",
    "watch": "watch:watch",
    "logs": "logs:logs",
    "events": "events:events",
    "artifacts": "artifacts:artifacts",
    "wait": "wait:wait",
    "suspend": "suspend:suspend",
    "resume": "resume:resume",
    "cancel": "cancel:cancel",
    "resubmit": "resubmit:resubmit",
    "delete": "delete:delete",
    "exec": "exec:execute",
    "queues": "queues:queues",
    "capacity": "capacity:capacity",
    "render": "render:render",
    "validate": "validate:validate",
    "recipes": "recipes:app",
    "slices": "slices:slices",
    "schema": "schema:schema",
    "config": "config:app",
    "doctor": "doctor:doctor",
    "cluster": "cluster:app",
    "version": "version:version",
}
"""In the order of the help: the module that holds a verb, and its name there."""

app = typer.Typer(
    name="mdctl",
    cls=group_of(VERBS),
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


@app.callback()
def mdctl() -> None:
    """Have verbs only."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(50_000)  # starting makes many objects and no garbage: looking for it takes a tenth of the time
    run(app)
