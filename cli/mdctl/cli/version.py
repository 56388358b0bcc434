"""`mdctl version`."""

from mdctl.cli import output
from mdctl.cli.options import Output


def version(form: Output = output.Format.TABLE) -> None:
    """Print the versions of mdctl and its schema."""
    from importlib.metadata import version as installed

    from mdctl.spec.job import API_VERSION

    output.record({"name": "mdctl", "version": installed("mdctl"), "apiVersion": API_VERSION}, form)
