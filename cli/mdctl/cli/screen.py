"""What changes, shown as it changes: on a terminal a table in its place, elsewhere a line for each change."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from mdctl.cli import output

if TYPE_CHECKING:
    from rich.console import Group

REFRESHES = 1.0
"""A second, so that ages go on while nothing else changes."""


@dataclass(frozen=True)
class Picture:
    """What is shown: a table, and lines above it."""

    rows: Sequence[output.Row]
    lines: Sequence[str] = ()


class Screen(Protocol):
    """Where it is shown."""

    def show(self, picture: Callable[[], Picture]) -> None:
        """Show what there is now; `picture` is asked again while nothing changes."""
        ...

    def say(self, line: str) -> None:
        """Show a line beside it."""
        ...


@contextmanager
def open_screen(form: output.Format, changing: Sequence[str]) -> Iterator[Screen]:
    """Yield a terminal where somebody looks at one; elsewhere lines, one for each change of the `changing` columns."""
    if form is output.Format.TABLE and sys.stdout.isatty():
        with _terminal() as screen:
            yield screen
    else:
        yield _Lines(form, tuple(changing))


@dataclass
class _Lines:
    form: output.Format
    changing: tuple[str, ...]
    shown: dict[object, tuple[object, ...]] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    def show(self, picture: Callable[[], Picture]) -> None:
        found = picture()
        for row in found.rows:
            values = tuple(row.get(name) for name in self.changing)
            if self.shown.get(row["name"]) != values:
                self.shown[row["name"]] = values
                self._print(row, values)
        for line in found.lines if tuple(found.lines) != self.said else ():
            if self.form is output.Format.TABLE:
                output.text(f"{_clock()}  {line}")
        self.said = tuple(found.lines)
        for name in self.shown.keys() - {row["name"] for row in found.rows}:
            del self.shown[name]
            self._print({"name": name, "phase": "Deleted"}, ("Deleted",))

    def say(self, line: str) -> None:
        output.note(line)

    def _print(self, row: output.Row, values: Sequence[object]) -> None:
        if self.form is output.Format.TABLE:
            output.text("  ".join([_clock(), str(row["name"]), *(str(value) for value in values if value is not None)]))
        else:
            output.json_line(row)


@contextmanager
def _terminal() -> Iterator[Screen]:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    screen = _Terminal(console.print)
    with Live(console=console, get_renderable=screen.render, refresh_per_second=REFRESHES, screen=False) as live:
        screen.refresh = live.refresh
        yield screen


class _Terminal:
    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.refresh: Callable[[], None] = lambda: None
        self._picture: Callable[[], Picture] = lambda: Picture([])

    def show(self, picture: Callable[[], Picture]) -> None:
        self._picture = picture
        self.refresh()

    def render(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        found = self._picture()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in found.rows[0] if found.rows else ():
            table.add_column(name.upper())
        for row in found.rows:
            table.add_row(*map(_cell, row.values()))
        return Group(*map(Text, found.lines), table)


def _cell(value: object) -> str:
    return "-" if value is None else ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _clock() -> str:
    return f"{datetime.now():%H:%M:%S}"
