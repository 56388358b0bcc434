"""`mdctl submit`."""

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
    Overrides,
    Preset,
    PresetName,
    Processes,
    QueueName,
    Replace,
    Run,
    Size,
    SliceName,
    Source,
    ViaTool,
    placed,
)


def submit(  # noqa: PLR0913 - each is an option of the verb
    source: Source,
    overrides: Overrides = None,
    *,
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
    via: ViaTool = None,
    run: Run = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    dry_run: DryRun = False,
    form: Output = output.Format.TABLE,
) -> int:
    """Start a job on a cluster, or --local here.

    It is examined whole before anything is created: what would keep it from running is said at once. The same job
    again changes nothing.

    \b
    mdctl submit train-wan --local
    mdctl submit train-wan --local --processes 2 --devices-per-process 2 ici_fsdp_parallelism=2
    mdctl submit train-wan --slice v5p-64 --output-dir gs://bucket/runs/1 data.path=gs://bucket/clips
    mdctl submit my.yaml training.steps=1000 --dry-run
    mdctl submit my.yaml training.steps=2000 --replace --max-hours 12
    mdctl submit my.yaml --preset xpk
    """
    from mdctl.cli.request import Request, asked, this_computer
    from mdctl.cli.start import Destination, start

    here = this_computer(local, processes, devices_per_process)
    options = placed(slice_name, num_slices, name, namespace, image, output_dir, queue, max_hours)
    layer = asked(options, overrides or ())
    kind = preset or (Preset(via) if via else None)
    request = Request(source=source, asked=layer, size=size, local=here, fresh_name=not local, preset=kind)
    if via or run:
        from mdctl.cli.xpk import create_by_xpk

        return create_by_xpk(request, context, kubeconfig, via=via, run=run and not dry_run)
    to = Destination(context=context, kubeconfig=kubeconfig, replace=replace)
    return start(request, to=to, dry_run=dry_run, form=form)
