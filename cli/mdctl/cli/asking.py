"""A question before what cannot be undone."""

import sys

import typer

from mdctl.spec.errors import UserError


def confirm(question: str, yes: bool) -> None:
    """Ask, unless `yes` was said already; end the command where the answer is another.

    Raises:
        UserError: nobody is there to answer.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"{question} nobody is there to ask; add --yes")
    typer.confirm(question, abort=True, err=True)
