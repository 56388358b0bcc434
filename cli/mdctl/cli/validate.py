"""`mdctl validate`."""

from pathlib import Path
from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.options import Output


def validate(
    file: Annotated[Path, typer.Argument(help="A YAML or JSON file with a DiffusionJob.")],
    form: Output = output.Format.TABLE,
) -> None:
    """Check a file that holds a job.

    Its fields, what they have in common, and the objects that Kubernetes would get.

    \b
    mdctl validate my.yaml
    """
    from mdctl.cli.request import explanation
    from mdctl.cli.start import checked_jobset
    from mdctl.spec.reading import read_job

    job = read_job(file)
    if job.spec.resolved_slice.kind != "cpu":
        checked_jobset(job)
    output.notes(explanation(job))
    spec = job.spec
    facts = {"name": job.metadata.name, "task": spec.task, "model": spec.model.name, "slice": spec.slice}
    output.record({**facts, "batch": spec.layout.global_batch, "valid": True}, form)
