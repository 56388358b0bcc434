"""`mdctl recipes` and `mdctl recipes show`."""

from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.options import Output

app = typer.Typer(name="recipes", invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def recipes(context: typer.Context, form: Output = output.Format.TABLE) -> None:
    """List jobs that are known to work."""
    from mdctl.spec.recipes import find_recipe, recipe_names

    if context.invoked_subcommand is None:
        found = [find_recipe(name) for name in recipe_names()]
        output.rows([{"name": r.name, "sizes": r.size_names, "description": r.description} for r in found], form)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A recipe's name.")],
    size: Annotated[str, typer.Option("--size", help="full, or another size that it has.")] = "full",
    form: Output = output.Format.YAML,
) -> None:
    """Print a recipe as a job: what differs from the defaults.

    \b
    mdctl recipes show train-wan
    mdctl recipes show train-wan --size small > my.yaml
    """
    from mdctl.spec.recipes import find_recipe

    recipe = find_recipe(name)
    output.note(recipe.description)
    output.document(recipe.job(size), form)
