import io

import pytest
from rich.console import Console

from mdctl.cli import output, screen
from mdctl.cli.screen import Picture, open_screen


def picture(*rows, lines=()):
    return lambda: Picture([{"name": name, "phase": phase, "age": age} for name, phase, age in rows], lines)


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    monkeypatch.setattr(screen, "_clock", lambda: "12:00:00")


def test_elsewhere_each_change_is_a_line(capsys):
    with open_screen(output.Format.TABLE, ("phase",)) as shown:
        shown.show(picture(("a", "Queued", "1 s"), ("b", "Queued", "1 s")))
        shown.show(picture(("a", "Queued", "2 s"), ("b", "Running", "2 s")))
        shown.show(picture(("b", "Running", "3 s")))
    assert capsys.readouterr().out.splitlines() == [
        "12:00:00  a  Queued",
        "12:00:00  b  Queued",
        "12:00:00  b  Running",
        "12:00:00  a  Deleted",
    ]


def test_a_line_above_the_table_is_printed_when_it_changes(capsys):
    with open_screen(output.Format.TABLE, ("phase",)) as shown:
        for line in ("why: this", "why: this", "why: that"):
            shown.show(picture(("a", "Queued", "1 s"), lines=[line]))
        shown.say("the server is away")
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == ["12:00:00  why: this", "12:00:00  why: that"]
    assert printed.err == "the server is away\n"


def test_for_a_program_each_change_is_an_object(capsys):
    with open_screen(output.Format.JSON, ("phase",)) as shown:
        shown.show(picture(("a", "Queued", "1 s"), lines=["why: this"]))
    assert capsys.readouterr().out == '{"name": "a", "phase": "Queued", "age": "1 s"}\n'


def test_on_a_terminal_the_table_stands_in_its_place(monkeypatch):
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr("rich.console.Console", lambda: terminal)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with open_screen(output.Format.TABLE, ("phase",)) as shown:
        shown.show(picture(("a", "Queued", None)))
        shown.say("the server is away")
        shown.show(picture(("a", "Running", "2 s"), lines=["why: [this]"]))
    text = written.getvalue()
    assert "NAME  PHASE   AGE" in text
    assert "a     Queued  -" in text
    assert "the server is away" in text
    assert "why: [this]" in text
    assert text.index("Queued") < text.index("Running")
