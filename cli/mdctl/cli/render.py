"""`mdctl render`."""

from mdctl.cli import output
from mdctl.cli.options import (
    Image,
    MaxHours,
    Name,
    Namespace,
    NumSlices,
    OutputDir,
    Overrides,
    PresetName,
    QueueName,
    Size,
    SliceName,
    Source,
    placed,
)


def render(  # noqa: PLR0913 - each is an option of the verb
    source: Source,
    overrides: Overrides = None,
    *,
    slice_name: SliceName = None,
    num_slices: NumSlices = None,
    size: Size = None,
    name: Name = None,
    namespace: Namespace = None,
    image: Image = None,
    output_dir: OutputDir = None,
    queue: QueueName = None,
    max_hours: MaxHours = None,
    preset: PresetName = None,
) -> None:
    """Print what Kubernetes gets for a job.

    One JobSet, for `kubectl apply -f -`; everything else goes to stderr.

    \b
    mdctl render train-wan --slice v5p-64 | kubectl apply -f -
    mdctl render train-wan --slice v6e-256 --output-dir gs://bucket/runs/1 data.path=gs://bucket/clips
    """
    from mdctl.cli.request import Request, asked
    from mdctl.cli.start import checked_jobset
    from mdctl.render.concerns import advice, concerns

    options = placed(slice_name, num_slices, name, namespace, image, output_dir, queue, max_hours)
    request = Request(source=source, asked=asked(options, overrides or ()), size=size, preset=preset)
    job = request.job()
    jobset = checked_jobset(job)
    output.notes(request.explanation(job))
    for concern in [*concerns(job), *advice(job)]:
        output.warning(concern)
    output.document(jobset)
