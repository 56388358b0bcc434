import hashlib
from pathlib import Path

import pytest

from mdctl.demo.picture import package
from mdctl.demo.picture.emoji import TRAINED
from mdctl.demo.picture.package import TARBALL, read_emoji
from mdctl.spec.errors import DataError

APPLE = TRAINED[0].short_name


@pytest.fixture(autouse=True)
def genuine(tarball: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the made-up package for the real one."""
    monkeypatch.setattr(package, "TARBALL_SHA256", hashlib.sha256(tarball).hexdigest())


def npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have `script` run in the place of npm."""
    path = folder / "bin" / "npm"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


SERVE = f'for option; do case "$option" in --pack-destination=*) cp SERVED "${{option#*=}}/{TARBALL}";; esac; done'


def test_emoji_come_out_of_the_package(tmp_path: Path, tarball: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path, monkeypatch, "exit 1")
    (tmp_path / TARBALL).write_bytes(tarball)
    names = [TRAINED[5].short_name, APPLE]
    found = read_emoji(tmp_path, names)
    assert list(found) == names
    assert all(content.startswith(b"\x89PNG") for content in found.values())
    assert found[names[0]] != found[names[1]]


def test_a_package_that_is_absent_or_damaged_is_fetched(
    tmp_path: Path, tarball: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").write_bytes(tarball)
    npm(tmp_path, monkeypatch, SERVE.replace("SERVED", str(tmp_path / "served")))
    target = tmp_path / "package" / TARBALL
    for damaged in (None, b"half"):
        if damaged is not None:
            target.write_bytes(damaged)
        read_emoji(target.parent, [APPLE])
        assert target.read_bytes() == tarball


def test_another_package_than_the_published_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served").write_bytes(b"something else")
    npm(tmp_path, monkeypatch, SERVE.replace("SERVED", str(tmp_path / "served")))
    with pytest.raises(DataError, match=f"its SHA-256 is not {package.TARBALL_SHA256}"):
        read_emoji(tmp_path, [APPLE])
    assert not (tmp_path / TARBALL).exists()


def test_no_npm_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        read_emoji(tmp_path, [APPLE])
    message = str(caught.value)
    assert message.startswith("npm, which fetches the pictures (emoji-datasource-google@16.0.0), is not here.")
    assert f"put {TARBALL} into {tmp_path}" in message
    assert "\n" not in message


def test_no_network_is_said_in_one_line_of_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"npm error code ENOTFOUND\nnpm error could not connect\nnpm error     at Socket\nnpm error The log: x"
    npm(tmp_path, monkeypatch, f"printf '{said}' >&2; exit 1")
    with pytest.raises(DataError) as caught:
        read_emoji(tmp_path, [APPLE])
    assert "(emoji-datasource-google@16.0.0): could not connect. Connect to" in str(caught.value)
    assert "\n" not in str(caught.value)
