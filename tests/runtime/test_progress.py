import io
import logging

import pytest
from rich.console import Console

from mdctl.runtime.progress import SECONDS_BETWEEN_LINES, Lines, progress_bar, progress_report


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_a_terminal_shows_what_is_done_to_each_piece():
    console = terminal()
    with progress_report(console, "data set") as tell:
        tell("reading clip", 2, 4)
        tell("encoding clip", 1, 7)
    shown = console.file.getvalue()
    assert "encoding clip" in shown
    assert "1/7" in shown


def test_a_terminal_shows_a_bar():
    console = terminal()
    with progress_bar(console, "train") as advance:
        advance(3, 40)
    shown = console.file.getvalue()
    assert "train" in shown
    assert "3/40" in shown


@pytest.mark.parametrize("show", [progress_bar, progress_report])
def test_what_is_no_terminal_shows_nothing(show):
    console = Console(file=io.StringIO())
    with show(console, "train") as tell:
        tell(*(["encoding clip"] if show is progress_report else []), 3, 40)
    assert not console.file.getvalue()


def test_lines_are_logged_now_and_then(caplog):
    now = 0.0
    lines = Lines(lambda: now)
    with caplog.at_level(logging.INFO, "mdctl"):
        for done in range(1, 11):
            now += 0.4 * SECONDS_BETWEEN_LINES
            lines("encoding clip", done, 10)
    assert [record.getMessage() for record in caplog.records] == [
        "encoding clip 3 of 10",
        "encoding clip 6 of 10",
        "encoding clip 9 of 10",
    ]
