"""The options that several verbs share: each is one type, with its help."""

from enum import StrEnum
from typing import Annotated

import typer

from mdctl.cli.output import Format


class Preset(StrEnum):
    """A kind of cluster, and what it calls things."""

    XPK = "xpk"


class Via(StrEnum):
    """Another tool that can create a job."""

    XPK = "xpk"


Source = Annotated[
    str,
    typer.Argument(metavar="RECIPE_OR_FILE", help="A recipe (see `mdctl recipes`), or a YAML file with a job."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FIELD=VALUE",
        help="Changes: `training.steps=1000`, or a short name such as `max_train_steps=1000`.",
        show_default=False,
    ),
]
SliceName = Annotated[str | None, typer.Option("--slice", help="Such as v5p-64, v6e-8, h100-16; see `mdctl slices`.")]
NumSlices = Annotated[int | None, typer.Option("--num-slices", help="How many such slices, joined by the network.")]
Size = Annotated[str | None, typer.Option("--size", help="A size of the recipe: full, or small as with --local.")]
Name = Annotated[str | None, typer.Option("--name", help="The job's name.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace it is made in.")]
Image = Annotated[
    str | None, typer.Option("--image", help="Container image; for all jobs: `mdctl config set image IMAGE`.")
]
OutputDir = Annotated[
    str | None, typer.Option("--output-dir", help="Where checkpoints, videos, metrics and logs go: gs://bucket/folder.")
]
QueueName = Annotated[str | None, typer.Option("--queue", help="A LocalQueue of Kueue.")]
PresetName = Annotated[
    Preset | None, typer.Option("--preset", help="For a cluster made by xpk: its queue, priority, namespace and label.")
]
ViaTool = Annotated[
    Via | None, typer.Option("--via", help="Print the command of xpk that creates the same job, for a cluster it made.")
]
Run = Annotated[bool, typer.Option("--run", help="With --via: run that command.")]
MaxHours = Annotated[
    float | None, typer.Option("--max-hours", help="Stop it for good after so many hours, its state saved.")
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Stop and delete another job of this name first; what it wrote stays."),
]
Local = Annotated[bool, typer.Option("--local", help="Run on this computer instead, in the recipe's small size.")]
Processes = Annotated[int, typer.Option("--processes", min=1, help="With --local: as many processes, as hosts are.")]
DevicesPerProcess = Annotated[
    int, typer.Option("--devices-per-process", min=1, help="With --local: CPU devices in each process.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be created or run, and stop.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]


def placed(
    slice_name: str | None,
    num_slices: int | None,
    name: str | None,
    namespace: str | None,
    image: str | None,
    output_dir: str | None,
    queue: str | None,
    max_hours: float | None,
) -> dict[str, object]:
    """Return what these options say, by the path of the field that each sets."""
    return {
        "slice": slice_name,
        "numSlices": num_slices,
        "metadata.name": name,
        "metadata.namespace": namespace,
        "image": image,
        "outputDir": output_dir,
        "queue.name": queue,
        "restarts.maxHours": max_hours,
    }
