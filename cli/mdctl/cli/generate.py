"""`mdctl generate`."""

from functools import partial
from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.connection import Context, Kubeconfig
from mdctl.cli.options import (
    DevicesPerProcess,
    DryRun,
    Image,
    Local,
    MaxHours,
    Name,
    Namespace,
    NumSlices,
    Output,
    OutputDir,
    PresetName,
    Processes,
    QueueName,
    Replace,
    Size,
    SliceName,
    placed,
)

DEFAULT_RECIPE = "generate-wan"

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT|FIELD=VALUE",
        help="What the samples show; a word such as `sampling.steps=30` is a change to the job.",
        show_default=False,
    ),
]
Model = Annotated[str | None, typer.Option("--model", help="A model of the catalogue; without it the recipe's.")]
PromptsFile = Annotated[
    str | None, typer.Option("--prompts-file", help='One prompt a line, or JSON lines with "prompt" and "seed".')
]
Checkpoint = Annotated[
    str | None, typer.Option("--checkpoint", help="The output directory of a training job, whose newest is taken.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until all is there, and copy it to ./outputs.")]
Open = Annotated[bool, typer.Option("--open", help="Wait, and show the first of them.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Same seed, prompt and job: same sample.")]


def generate(  # noqa: PLR0913 - each is an option of the verb
    words: Words = None,
    *,
    model: Model = None,
    prompts_file: PromptsFile = None,
    checkpoint: Checkpoint = None,
    seed: Seed = None,
    slice_name: SliceName = None,
    num_slices: NumSlices = None,
    size: Size = None,
    local: Local = False,
    processes: Processes = 1,
    devices_per_process: DevicesPerProcess = 1,
    name: Name = None,
    namespace: Namespace = None,
    image: Image = None,
    output_dir: OutputDir = None,
    queue: QueueName = None,
    max_hours: MaxHours = None,
    replace: Replace = False,
    preset: PresetName = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    wait: Wait = False,
    show: Open = False,
    dry_run: DryRun = False,
    form: Output = output.Format.TABLE,
) -> int:
    """Make pictures or videos from prompts.

    On the cluster of your kubeconfig, or with --local on this computer.

    \b
    mdctl generate "a rabbit on a meadow" --local
    mdctl generate --prompts-file prompts.txt --local --checkpoint outputs/train-wan sampling.steps=30
    mdctl generate "a red fox in snow" --slice v6e-8 --output-dir gs://bucket/videos --seed 7 --wait --open
    mdctl generate "a red fox in snow" --model sdxl --slice v6e-8 sampling.samplesPerPrompt=16
    mdctl generate --prompts-file prompts.txt --slice v6e-8 --num-slices 4 --output-dir gs://bucket/videos
    """
    from mdctl.cli.fetching import fetch_results
    from mdctl.cli.prompts import carried
    from mdctl.cli.request import Request, asked, this_computer
    from mdctl.cli.start import Destination, start
    from mdctl.spec.catalogue import find_model
    from mdctl.spec.overrides import is_override

    prompts = [word for word in words or () if not is_override(word)] or None
    if prompts_file and not prompts and not local and (inside := carried(prompts_file)):
        prompts, prompts_file = inside, None
    said = {
        "model.name": model,
        "model.checkpoint": checkpoint,
        "sampling.prompts": prompts,
        "sampling.promptsFile": prompts_file,
        "sampling.seed": seed,
    }
    here = this_computer(local, processes, devices_per_process)
    placement = placed(slice_name, num_slices, name, namespace, image, output_dir, queue, max_hours)
    layer = asked({**said, **placement}, [word for word in words or () if is_override(word)])
    source = f"generate-{find_model(model).recipes}" if model else DEFAULT_RECIPE
    request = Request(source=source, asked=layer, size=size, local=here, fresh_name=not local, preset=preset)
    to = Destination(context=context, kubeconfig=kubeconfig, replace=replace)
    then = partial(fetch_results, show=show) if wait or show else None
    return start(request, to=to, dry_run=dry_run, form=form, then=then)
