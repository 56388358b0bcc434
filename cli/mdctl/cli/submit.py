"""`mdctl submit`."""

from mdctl.cli import output
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
    Processes,
    QueueName,
    Size,
    SliceName,
    Source,
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
    dry_run: DryRun = False,
    form: Output = output.Format.TABLE,
) -> int:
    """Start a job on a cluster, or --local here.

    The cluster is that of your kubeconfig.

    \b
    mdctl submit train-wan --local
    mdctl submit train-wan --local --processes 2 --devices-per-process 2 ici_fsdp_parallelism=2
    mdctl submit train-wan --slice v5p-64 --output-dir gs://bucket/runs/1 data.path=gs://bucket/clips
    mdctl submit my.yaml training.steps=1000 --dry-run
    """
    from mdctl.cli.request import Request, asked, this_computer
    from mdctl.cli.start import start

    here = this_computer(local, processes, devices_per_process)
    options = placed(slice_name, num_slices, name, namespace, image, output_dir, queue, max_hours)
    request = Request(source=source, asked=asked(options, overrides or ()), size=size, local=here, fresh_name=not local)
    return start(request, dry_run=dry_run, form=form)
