"""Everything mdctl prints, and the codes it leaves with: the only module that formats, the only one that exits.

Results go to stdout; what a person should know beside them goes to stderr.
"""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NoReturn, TextIO

import typer
from typer.exceptions import Abort, TyperException

from mdctl.spec.errors import MdctlError, OutputError
from mdctl.spec.exit_codes import INTERRUPTED

HOST_COLOURS = (
    typer.colors.CYAN,
    typer.colors.GREEN,
    typer.colors.MAGENTA,
    typer.colors.YELLOW,
    typer.colors.BLUE,
    typer.colors.BRIGHT_CYAN,
    typer.colors.BRIGHT_GREEN,
    typer.colors.BRIGHT_MAGENTA,
)

LEVELS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}

Row = Mapping[str, object]


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def rows(found: Sequence[Row], form: Format) -> None:
    """Print a list of results; each has a `name`."""
    match form:
        case Format.TABLE:
            for line in _table(found):
                text(line)
        case Format.NAME:
            for row in found:
                text(str(row["name"]))
        case _:
            document(list(found), form)


def record(found: Row, form: Format) -> None:
    """Print one result; it has a `name`."""
    match form:
        case Format.TABLE:
            width = max(map(len, found))
            for name, value in found.items():
                text(f"{name:<{width}}  {_cell(value)}".rstrip())
        case Format.NAME:
            text(str(found["name"]))
        case _:
            document(found, form)


def section(title: str, found: Sequence[Row] = (), lines: Iterable[str] = ()) -> None:
    """Print lines and a table under a title, after what is printed already; nothing where there is neither."""
    lines = list(lines)
    if lines or found:
        text("")
        text(title)
        for line in (*lines, *_table(found, indent=2)):
            text(f"  {line}".rstrip())


def document(data: object, form: Format = Format.YAML) -> None:
    """Print data as one YAML document, or as JSON."""
    from mdctl.spec.yaml_text import dump

    text(json.dumps(data, indent=2, ensure_ascii=False) if form is Format.JSON else dump(data).rstrip())


def json_line(found: Row) -> None:
    """Print one of many results that come one after the other, as a line."""
    text(json.dumps(found, ensure_ascii=False))


def planned(found: Mapping[str, Any], form: Format) -> None:
    """Print an object that has `metadata`, as it would be created: YAML unless another form is asked for."""
    if form is Format.NAME:
        text(str(found["metadata"]["name"]))
    else:
        document(found, form)


def text(line: str) -> None:
    """Print a line of the result; leave where its reader has gone.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        typer.echo(line)
    except OSError as error:
        _close_stdout()
        if isinstance(error, BrokenPipeError):
            raise typer.Exit from None
        raise OutputError(f"the result cannot be written: {error.strerror}; send it elsewhere") from None


def progress(line: str) -> None:
    """Print a line of a job that runs here; a reader that has gone does not stop the job."""
    try:
        typer.echo(line)
    except OSError:
        _close_stdout()


def raw(content: bytes, *, err: bool = False) -> None:
    """Print what a command elsewhere wrote, as it is; a reader that has gone does not stop it."""
    try:
        typer.echo(content, nl=False, err=err)
    except OSError:
        _close_stdout()


def hosts_line(host: int, width: int, line: str) -> None:
    """Print what one of several hosts wrote after its mark; `width` is that of the longest number."""
    mark = host_mark(host, width)
    for each in line.split("\n"):
        text(f"{mark} {each}")


def host_mark(host: int, width: int) -> str:
    """Return a host's number, in a colour of its own where there are colours."""
    mark = f"[{host}]".ljust(width + 2)
    return mark if _is_plain(sys.stdout) else typer.style(mark, fg=HOST_COLOURS[host % len(HOST_COLOURS)])


def finding(level: str, name: str, said: str, fix: str | None) -> None:
    """Print how something stands, with its fix below it."""
    mark = f"{level:<4}" if _is_plain(sys.stdout) else typer.style(f"{level:<4}", fg=LEVELS[level], bold=True)
    text(f"{mark}  {name:<11}  {said}")
    if fix is not None:
        text(f"{'':<4}  {'':<11}  -> {fix}")


def note(line: str) -> None:
    """Print a line beside the result, on stderr."""
    typer.echo(line, err=True)


def notes(lines: Iterable[str]) -> None:
    """Print lines beside the result, on stderr."""
    for line in lines:
        note(line)


def warning(line: str) -> None:
    """Print a warning on stderr."""
    note(f"{_coloured('warning:', typer.colors.YELLOW)} {line}")


def run(app: typer.Typer) -> NoReturn:
    """Run the command line and leave; a mistake ends in one message and its code, never in a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except MdctlError as error:
        code = _failed(str(error), error.exit_code)
    except TyperException as error:
        code = _failed(error.format_message(), error.exit_code)
    except (Abort, KeyboardInterrupt):
        code = _failed("interrupted", INTERRUPTED)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        _close_stdout()
        code = _failed(f"nothing more can be written: {error.strerror}; make room, or send it elsewhere", 2)
    sys.exit(code or 0)


def _close_stdout() -> None:
    """Let what is still to be written go nowhere, at exit too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message: str, code: int) -> int:
    note(f"{_coloured('error:', typer.colors.RED)} {message}")
    return code


def _coloured(word: str, colour: str) -> str:
    return word if _is_plain(sys.stderr) else typer.style(word, fg=colour, bold=True)


def _is_plain(stream: TextIO) -> bool:
    """Return whether what is printed there has no colours."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or not stream.isatty()


def _table(found: Sequence[Row], indent: int = 0) -> list[str]:
    """Return rows under their headings, cut to the terminal's width where there is one, less an indent."""
    if not found:
        return []
    lines = [[name.upper() for name in found[0]], *([_cell(value) for value in row.values()] for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else None
    joined = ("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
    return [line[:room].rstrip() for line in joined]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
