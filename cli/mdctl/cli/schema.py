"""`mdctl schema`."""

from typing import Annotated

import typer

from mdctl.cli import output


def schema(
    crd: Annotated[bool, typer.Option("--crd", help="As a CustomResourceDefinition, in YAML.")] = False,
) -> None:
    """Print the JSON schema of a job.

    \b
    mdctl schema > diffusionjob.schema.json
    mdctl schema --crd | kubectl apply -f -
    """
    from mdctl.spec.schema import crd as definition
    from mdctl.spec.schema import json_schema

    output.document(definition() if crd else json_schema(), output.Format.YAML if crd else output.Format.JSON)
