"""Where a job's output directory is, from what a person calls the job."""

from pathlib import Path

from mdctl.spec.errors import ResultsError
from mdctl.spec.outputs import LOCAL_OUTPUTS


def output_directory(job: str) -> str:
    """Return the output directory of a job: of its name, or the directory itself.

    Raises:
        ResultsError: no directory belongs to that name.
    """
    from mdctl.cli.settings import read_settings, settings_path
    from mdctl.spec.model import join

    if is_directory(job):
        return job
    here = Path(LOCAL_OUTPUTS, job)
    if is_here(job):
        return str(here)
    root = read_settings().output_dir
    if root is None:
        raise ResultsError(
            f"job {job!r} has no results in {here}, and {settings_path()} names no other place; name its output "
            "directory, or where they all are, with `mdctl config set output_dir gs://bucket/folder`"
        )
    return join(root, job)


def is_directory(job: str) -> bool:
    """Say whether what a person wrote is a directory, and not a job's name."""
    return "/" in job or job.startswith((".", "~"))


def is_here(job: str) -> bool:
    """Say whether a job of that name has written in the folder that jobs of this computer write in."""
    return Path(LOCAL_OUTPUTS, job).is_dir()
