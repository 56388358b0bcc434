"""`mdctl config`: the user's own defaults."""

from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.options import Output

app = typer.Typer(
    name="config",
    invoke_without_command=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="image, output_dir, queue or namespace.")]


@app.callback()
def config(context: typer.Context, form: Output = output.Format.TABLE) -> None:
    """Show and change your own defaults."""
    if context.invoked_subcommand is None:
        show(form)


@app.command()
def show(form: Output = output.Format.TABLE) -> None:
    """Print all defaults, and the file they are in."""
    from mdctl.cli.settings import read_settings, settings_path

    output.note(str(settings_path()))
    found = [{"name": name, "value": value} for name, value in read_settings().model_dump().items()]
    output.rows(found, form)


@app.command()
def get(name: Name) -> None:
    """Print one default, or nothing where it is unset."""
    from mdctl.cli.settings import find_setting, read_settings

    value = getattr(read_settings(), find_setting(name))
    if value is not None:
        output.text(value)


@app.command("set")
def set_(name: Name, value: Annotated[str, typer.Argument(help="Its new value.")]) -> None:
    """Set one default.

    \b
    mdctl config set output_dir gs://bucket/runs
    mdctl config set queue research
    """
    _change(name, value)


@app.command()
def unset(name: Name) -> None:
    """Forget one default."""
    _change(name, None)


def _change(name: str, value: str | None) -> None:
    from mdctl.cli.settings import find_setting, parse_settings, read_settings, write_settings

    changed = read_settings().model_dump() | {find_setting(name): value}
    output.note(f"written to {write_settings(parse_settings(changed, 'mdctl config'))}")
