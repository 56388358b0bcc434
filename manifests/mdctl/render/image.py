"""The image of a job that names none: the one that our Dockerfile builds, by version."""

from mdctl.spec.slices import Kind
from mdctl.spec.version import VERSION


def default_image(kind: Kind) -> str:
    """Return the image for a kind of accelerator, such as `mdctl:0.1.0-tpu`."""
    return f"mdctl:{VERSION}-{kind}"
