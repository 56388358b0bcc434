"""`mdctl artifacts`."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig, Namespace, connect, job_names
from mdctl.cli.options import Output
from mdctl.results.kinds import Kind

if TYPE_CHECKING:
    from mdctl.results.artifacts import Artifact

Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB_OR_DIRECTORY",
        help="A job's name, or where it writes: a folder, or gs://bucket/path.",
        autocompletion=job_names,
        show_default=False,
    ),
]
Kinds = Annotated[list[Kind] | None, typer.Option("--kind", help="Only these; may be given several times.")]
CopyTo = Annotated[Path | None, typer.Option("--copy-to", help="Copy them into this folder.")]


def artifacts(
    job: Job,
    *,
    kinds: Kinds = None,
    copy_to: CopyTo = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = output.Format.TABLE,
) -> None:
    """List what a job made, or copy it here.

    While it runs, and long after it is gone. A name stands for the folder of that name in ./outputs, for where the job
    of that name on the cluster writes, or for the folder of that name in the output_dir of `mdctl config`. A copy is
    an output directory too, and goes on where it was broken off.

    \b
    mdctl artifacts train-wan
    mdctl artifacts gs://bucket/runs/1 --kind checkpoint -o name
    mdctl artifacts train-wan-x2k4q --kind video --kind image --copy-to videos
    """
    from mdctl.results.artifacts import find_artifacts, job_record
    from mdctl.results.opening import open_store
    from mdctl.spec.errors import ResultsError

    store = open_store(_output_of(job, context, kubeconfig, namespace))
    record, every = job_record(store), find_artifacts(store, kinds or tuple(Kind))
    if record is None and not every:
        raise ResultsError(f"{store.location}: no job has written there; check the name, or wait until it has begun")
    for each in (each for each in every if each.damage):
        output.warning(f"{each.name} is damaged and left out: {each.damage}")
    found = [each for each in every if not each.damage]
    if not found:
        output.note(f"{store.location}: no {' and no '.join(kinds or Kind)} yet")
    if copy_to is None:
        output.rows([_row(each, form) for each in found], form)
    elif found:
        output.record(_copy([*found, *([record] if record else [])], copy_to, form), form)


def _output_of(job: str, *connection: str | None) -> str:
    """Return where a job writes: one on the cluster says so itself, unless this computer has one of that name."""
    from mdctl.cli.whereabouts import is_directory, is_here, output_directory

    if is_directory(job) or is_here(job):
        return output_directory(job)
    return _said_by_cluster(job, *connection) or output_directory(job)


def _said_by_cluster(job: str, *connection: str | None) -> str | None:
    from mdctl.cluster.jobs import find_job, output_directory
    from mdctl.spec.errors import ClusterError

    with suppress(ClusterError):  # it may be gone from there, or there is none
        return output_directory(find_job(connect(*connection), job))
    return None


def _row(artifact: "Artifact", form: output.Format) -> output.Row:
    """Return an artifact for a person, or with all of it for a program."""
    from mdctl.cli import units

    if form is output.Format.TABLE:
        age = units.duration(time.time() - artifact.modified)
        about = {"name": artifact.name, "kind": artifact.kind.value, "step": artifact.step}
        return {**about, "size": units.size(artifact.size), "age": age}
    return {
        "name": artifact.location,
        "kind": artifact.kind.value,
        "step": artifact.step,
        "bytes": artifact.size,
        "files": len(artifact.files),
        "modified": datetime.fromtimestamp(artifact.modified, UTC).isoformat(timespec="seconds"),
    }


def _copy(artifacts: "Sequence[Artifact]", folder: Path, form: output.Format) -> output.Row:
    """Copy artifacts and say what that came to."""
    from mdctl.cli import units
    from mdctl.cli.bar import bytes_bar
    from mdctl.results.copying import copy

    with bytes_bar(f"copying to {folder}", sum(each.size for each in artifacts)) as advance:
        copied = copy(artifacts, folder, advance)
    amount = {"size": units.size(copied.size)} if form is output.Format.TABLE else {"bytes": copied.size}
    return {"name": str(folder), "files": copied.files, "already there": copied.already_there, **amount}
