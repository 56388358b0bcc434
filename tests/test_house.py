"""What holds for the repository as a whole, so that nobody has to remember it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
ROOMS = ("cli", "manifests", "operator", "workloads")
LONGEST = 400
"""Lines of a file; past this it is two."""


def tracked(*patterns: str) -> list[Path]:
    """Return the files that git keeps, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


SOURCES = [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in ROOMS]


def test_no_file_hides_the_other_rooms():
    """`mdctl` is one namespace over the rooms: an `__init__.py` beside its packages would shadow the rest."""
    for room in ROOMS:
        for folder in (ROOT / room, ROOT / room / "mdctl"):
            assert not list(folder.glob("*.py")), folder


def test_every_package_in_a_room_is_a_regular_one():
    for path in SOURCES:
        packages = path.relative_to(ROOT).parts[2:-1]
        for depth in range(1, len(packages) + 1):
            folder = path.parents[len(packages) - depth]
            assert (folder / "__init__.py").exists(), folder


def test_no_package_is_in_two_rooms():
    homes = [path.relative_to(ROOT).parts[:3] for path in SOURCES]
    rooms = {}
    for room, _, package in homes:
        rooms.setdefault(package, set()).add(room)
    assert {package: where for package, where in rooms.items() if len(where) > 1} == {}


def test_no_file_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_the_arrows_between_the_rooms_go_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_every_package_has_its_arrows():
    """A package that the contracts do not name would have none."""
    text = (ROOT / "pyproject.toml").read_text()
    packages = {f"mdctl.{path.relative_to(ROOT).parts[2]}" for path in SOURCES}
    assert packages <= set(re.findall(r'"(mdctl\.[a-z]+)"', text))


def test_the_locks_name_no_host():
    for path in tracked("requirements"):
        assert "://" not in path.read_text(), path


def pins(path: Path) -> dict[str, str]:
    """Return the version of every package that a lock holds."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", path.read_text(), re.MULTILINE))


def test_every_lock_holds_the_versions_of_one_resolution():
    resolved = pins(ROOT / "requirements/constraints.txt")
    for path in tracked("requirements/*.lock"):
        if path.stem not in ("parity", "xpk"):  # which bring packages of their own
            assert pins(path).items() <= resolved.items(), path


def test_the_resolution_is_of_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for group in project["optional-dependencies"].values() for text in group]
    resolved = pins(ROOT / "requirements/constraints.txt")
    for requirement in [*asked, *map(Requirement, project["dependencies"])]:
        if requirement.name != project["name"]:
            assert resolved[requirement.name.lower()] in requirement.specifier, requirement


README = (ROOT / "README.md").read_text()
COMMANDS = re.compile(r"^(?:\.venv/bin/)?(mdctl .*)$", re.MULTILINE)
SESSIONS = re.compile(r"^    \$ (mdctl .*)\n((?:    (?!\$).*\n)+)", re.MULTILINE)


def readme_commands() -> list[str]:
    """Return the mdctl commands in the README's blocks of code, in order."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in COMMANDS.findall(block.replace("\\\n", " "))]


@pytest.fixture
def shell(tmp_path):
    """Return a function that runs a line in a person's shell: in an empty folder, with a kubectl that takes all."""
    (tmp_path / "bin").mkdir()
    kubectl = tmp_path / "bin/kubectl"
    kubectl.write_text("#!/bin/sh\ncat > /dev/null\n")
    kubectl.chmod(0o755)
    path = os.pathsep.join([str(kubectl.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def run(line):
        command = ["bash", "-c", f"set -o pipefail; {line}"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_commands_in_the_readme_work(shell):
    """What would start a job stops before it does."""
    assert readme_commands()
    for command in readme_commands():
        starts = command.split()[1] in ("submit", "generate") and "--dry-run" not in command
        found = shell(command.partition(" #")[0] + (" --dry-run" if starts else ""))
        assert found.returncode == 0, f"{command}\n{found.stderr}"


@pytest.mark.parametrize(("command", "shown"), SESSIONS.findall(README), ids=lambda text: text[:40])
def test_what_the_readme_shows_is_what_is_printed(shell, command, shown):
    found = shell(command)
    assert found.stdout + found.stderr == re.sub("^    ", "", shown, flags=re.MULTILINE)
