"""What a rendered job lacks to be worth running on a cluster: `render` warns of it, `submit` refuses.

And what it would be better with, of which both warn.
"""

from collections.abc import Iterator

from mdctl.render import xpk
from mdctl.render.image import default_image
from mdctl.spec.job import DiffusionJob, JobSpec


def concerns(job: DiffusionJob) -> list[str]:
    """Return one sentence for each thing that pods would lack; empty when there is none."""
    spec = job.spec
    found = []
    if not (spec.output_dir or "").startswith("gs://"):
        found.append(
            f"outputDir is {spec.output_dir!r}: pods lose what they write outside gs://, and hosts do not see each "
            "other's files; set outputDir=gs://BUCKET/FOLDER"
        )
    checkpoints = spec.training.checkpoint.directory if spec.task == "train" else None
    if checkpoints is not None and not checkpoints.startswith("gs://"):
        found.append(
            f"training.checkpoint.directory is {checkpoints!r}: checkpoints die with the pod that wrote them; "
            "set training.checkpoint.directory=gs://BUCKET/FOLDER, or null for one in outputDir"
        )
    for field, place, schemes in (
        ("model.weights", spec.model.weights, "hf://ORG/NAME or gs://BUCKET/FOLDER"),
        ("model.checkpoint", spec.model.checkpoint, "gs://BUCKET/FOLDER"),
        ("sampling.promptsFile", spec.sampling.prompts_file, "gs://BUCKET/FILE"),
        ("sampling.image", spec.sampling.image, "gs://BUCKET/FILE"),
        ("sampling.mask", spec.sampling.mask, "gs://BUCKET/FILE"),
        *_control_nets(spec),
        *(
            (f"model.lora.{number}.weights", adapter.weights, "hf://ORG/NAME or gs://BUCKET/FILE")
            for number, adapter in enumerate(spec.model.lora)
        ),
        ("training.prior.path", _prior(spec), "gs://BUCKET/FOLDER"),
    ):
        if place is not None and "://" not in place:
            found.append(f"{field} is {place!r}: pods see no folder of this computer; set {field}={schemes}")
    if spec.task == "train" and spec.data.type == "folder" and not (spec.data.path or "").startswith("gs://"):
        found.append(
            f"data.path is {spec.data.path!r}: pods see no folder of this computer; "
            "set data.path=gs://BUCKET/FOLDER, or data.type=synthetic"
        )
    if spec.image is None:
        found.append(
            f"image is unset, so pods ask for {default_image(spec.resolved_slice.kind)}, which a registry that the "
            "cluster reads must have: build it from the Dockerfile, push it, and set image=REGISTRY/NAME:TAG, or once "
            "for all jobs `mdctl config set image REGISTRY/NAME:TAG`"
        )
    return found


def _prior(spec: JobSpec) -> str | None:
    prior = spec.training.prior
    return None if prior is None or spec.task != "train" else prior.path


def _control_nets(spec: JobSpec) -> Iterator[tuple[str, str | None, str]]:
    """Yield each place that ControlNets or their pictures are read from."""
    if spec.training.control_net is not None:
        weights = spec.training.control_net.weights
        yield "training.controlNet.weights", weights, "hf://ORG/NAME or gs://BUCKET/FOLDER"
    for number, control in enumerate(spec.sampling.control):
        yield f"sampling.control.{number}.weights", control.weights, "hf://ORG/NAME or gs://BUCKET/FOLDER"
        yield f"sampling.control.{number}.image", control.image, "gs://BUCKET/FILE"


def advice(job: DiffusionJob) -> list[str]:
    """Return one sentence for each thing that would make the job start, or start again, more surely."""
    spec = job.spec
    found = []
    for field, place in (
        ("data.cache", spec.data.cache if spec.task == "train" else None),
        ("compilationCacheDir", spec.compilation_cache_dir),
    ):
        if place is not None and not place.startswith("gs://"):
            found.append(
                f"{field} is {place!r}: it dies with the pod, and each attempt makes it anew; "
                f"set {field}=gs://BUCKET/FOLDER"
            )
    return [*found, *(xpk.advice(job) if xpk.LABEL in job.metadata.labels else ())]
