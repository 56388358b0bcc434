"""`mdctl version`."""

from mdctl.cli import output
from mdctl.cli.options import Output


def version(form: Output = output.Format.TABLE) -> None:
    """Print the versions of mdctl and its schema."""
    from mdctl.spec.job import API_VERSION
    from mdctl.spec.version import VERSION

    output.record({"name": "mdctl", "version": VERSION, "apiVersion": API_VERSION}, form)
