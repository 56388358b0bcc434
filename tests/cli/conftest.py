"""The command line as a person uses it, in a folder and with settings of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mdctl.cli.app import main
from tests.buckets import buckets, emulator
from tests.outputs import uploaded, written
from tests.workers import compiled, repository, write_job

__all__ = ["buckets", "compiled", "emulator", "repository", "uploaded", "write_job", "written"]


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def mdctl(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs `mdctl` with some words."""

    def run(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["mdctl", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return Result(int(leaving.value.code or 0), printed.out, printed.err)

    return run
