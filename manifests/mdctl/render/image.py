"""The image of a job that names none: the one that our Dockerfile builds, by version."""

from mdctl.spec.job import DiffusionJob
from mdctl.spec.slices import Kind
from mdctl.spec.version import VERSION


def with_image(job: DiffusionJob) -> DiffusionJob:
    """Return a job that names its image, so that two versions of mdctl do not mean two things by one spec."""
    image = job.spec.image or default_image(job.spec.resolved_slice.kind)
    return job.model_copy(update={"spec": job.spec.model_copy(update={"image": image})})


def default_image(kind: Kind) -> str:
    """Return the image for a kind of accelerator, such as `mdctl:0.1.0-tpu`."""
    return f"mdctl:{VERSION}-{kind}"
