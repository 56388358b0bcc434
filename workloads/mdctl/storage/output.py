"""The output directory of a job, on this machine or `gs://`; what is in it is drawn in `mdctl.spec.outputs`."""

from pathlib import Path

from etils import epath

from mdctl.spec.errors import OutputError


def prepare_output(directory: str) -> epath.Path:
    """Return the directory, made if need be, once a file has been written to it and removed.

    Raises:
        OutputError: it cannot be written to.
    """
    path = as_path(directory)
    probe = path / ".mdctl-can-write"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_text("mdctl")
        probe.unlink(missing_ok=True)
    except file_errors(directory) as error:
        raise OutputError(
            f"output directory {directory} cannot be written: {reason(error)}; "
            f"give it write access and room, or name another with output_dir=..."
        ) from error
    return path


def as_path(directory: str) -> epath.Path:
    """Return a directory of this machine or `gs://` as a path that means the same from anywhere."""
    if "://" in directory:
        return epath.Path(directory)  # which `resolve` would take for a relative one
    return epath.Path(Path(directory).expanduser().resolve())


def reason(error: Exception) -> str:
    """Return an error of a file system in words, on one line."""
    if isinstance(error, FileNotFoundError) and not error.strerror:
        return "there is no such file, or no such bucket"
    return getattr(error, "strerror", None) or ": ".join(str(error).splitlines()) or type(error).__name__


def file_errors(directory: str) -> tuple[type[Exception], ...]:
    """Return what a file system raises; that of `gs://` has errors of its own."""
    if not directory.startswith("gs://"):
        return (OSError,)
    from gcsfs.retry import HttpError
    from google.auth.exceptions import GoogleAuthError

    return (OSError, HttpError, GoogleAuthError)
