import errno
import os
import subprocess
import sys

import pytest
import typer

from mdctl.cli import output
from mdctl.spec import errors
from mdctl.spec.exit_codes import EXIT_CODES, INTERRUPTED, TIMED_OUT

ROWS: list[output.Row] = [{"name": "a", "size": 10, "parts": ("x", "y")}, {"name": "bb", "size": None, "parts": ()}]


@pytest.fixture
def leave(monkeypatch, capsys):
    """Return a function that runs another as a verb, and says with which code it left and what it printed."""

    def run(function):
        app = typer.Typer(rich_markup_mode=None)
        app.command("verb")(function)
        app.command("other")(lambda: None)
        monkeypatch.setattr(sys, "argv", ["mdctl", "verb"])
        with pytest.raises(SystemExit) as leaving:
            output.run(app)
        return leaving.value.code, capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (output.Format.TABLE, "NAME  SIZE  PARTS\na     10    x, y\nbb    -\n"),
        (output.Format.NAME, "a\nbb\n"),
        (output.Format.YAML, "- name: a\n  size: 10\n  parts:\n  - x\n  - y\n- name: bb\n  size: null\n  parts: []\n"),
    ],
)
def test_rows_in_every_form(form, text, capsys):
    output.rows(ROWS, form)
    assert capsys.readouterr().out == text


def test_one_result_in_every_form(capsys):
    output.record(ROWS[0], output.Format.TABLE)
    assert capsys.readouterr().out == "name   a\nsize   10\nparts  x, y\n"
    output.record(ROWS[0], output.Format.NAME)
    assert capsys.readouterr().out == "a\n"
    output.record(ROWS[0], output.Format.JSON)
    assert '"parts": [\n    "x",' in capsys.readouterr().out


def test_each_host_has_a_mark_and_on_a_terminal_a_colour(monkeypatch, capsys):
    output.hosts_line(3, 2, "one\ntwo")
    assert capsys.readouterr().out == "[3]  one\n[3]  two\n"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert output.host_mark(0, 1) != output.host_mark(1, 1).replace("1", "0")
    assert output.host_mark(0, 1).startswith("\x1b[")
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.host_mark(0, 1) == "[0]"


def test_nothing_found_is_nothing_printed(capsys):
    output.rows([], output.Format.TABLE)
    assert capsys.readouterr().out == ""


def test_a_table_is_cut_to_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "10")
    output.rows(ROWS, output.Format.TABLE)
    assert capsys.readouterr().out.splitlines() == ["NAME  SIZE", "a     10", "bb    -"]


@pytest.mark.parametrize(
    "kind",
    [errors.MdctlError, errors.SpecError, errors.DataError, errors.WillFailAgain, errors.Preempted, errors.PeerLost],
)
def test_an_error_of_ours_is_one_message_and_its_code(kind, leave):
    def fail():
        raise kind("this, because of that; do so")

    code, printed = leave(fail)
    assert code == kind.exit_code
    assert code in EXIT_CODES
    assert (printed.out, printed.err) == ("", "error: this, because of that; do so\n")


def test_every_error_of_ours_leaves_with_a_code_in_the_table():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MdctlError)]
    assert {kind.exit_code for kind in kinds} | {0, TIMED_OUT, INTERRUPTED} == set(EXIT_CODES)


def test_an_interruption_leaves_with_130(leave):
    def interrupt():
        raise KeyboardInterrupt

    assert leave(interrupt)[0] == 130


def test_what_a_verb_returns_is_the_code(leave):
    assert leave(lambda: 75)[0] == 75
    assert leave(lambda: None)[0] == 0


def test_a_fault_of_ours_is_not_hidden(leave):
    def fault():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave(fault)


@pytest.mark.parametrize(
    ("sink", "code", "message"),
    [
        ("| true", 0, ""),
        ("> /dev/full", 2, "error: the result cannot be written: No space left on device; send it elsewhere\n"),
    ],
)
def test_a_result_that_cannot_be_written_is_no_traceback(sink, code, message):
    command = f"set -o pipefail; {sys.executable} -c 'from mdctl.cli.app import main; main()' schema {sink}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (code, message)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--help > /dev/full", 2, "error: nothing more can be written: No space left on device; make room, or send it"),
        ("slices >&-", 0, ""),
        ("nothing 2>&-", 2, ""),
    ],
)
def test_nowhere_to_write_is_no_traceback(words, code, message):
    command = f"{sys.executable} -c 'from mdctl.cli.app import main; main()' {words}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert found.returncode == code
    assert found.stderr.startswith(message)
    assert "Traceback" not in found.stderr


def test_a_job_goes_on_when_nobody_reads(monkeypatch):
    def echo(line):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    closed = []
    monkeypatch.setattr(typer, "echo", echo)
    monkeypatch.setattr(output, "_close_stdout", lambda: closed.append(True))
    output.progress("step 1")
    assert closed


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_only_where_they_are_wanted(environment, coloured, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert output._coloured("error:", typer.colors.RED) == ("\x1b[31m\x1b[1merror:\x1b[0m" if coloured else "error:")
