"""`hf://org/name` through the hub's own client, which reads its endpoint when it is imported: each in a process."""

import os
import subprocess
import sys

import pytest

from tests.storage.hub import served

FETCH = """
import sys
from mdctl.spec.errors import WeightsError
from mdctl.storage.repository import local_repository
try:
    print(local_repository(sys.argv[1], sys.argv[2] or None))
except WeightsError as error:
    sys.exit(f"WeightsError: {error}")
"""


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    for name in ("model_index.json", "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "transformer" / "pytorch_model.bin").write_text("the same in another format")
    return folder


def fetch(endpoint, home, location="hf://org/name", revision=""):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", FETCH, location, revision],
        env={**environment, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_repository_of_the_hub_is_fetched_once(repository, tmp_path):
    with served(repository) as (endpoint, asked):
        first = fetch(endpoint, tmp_path / "home")
        assert first.returncode == 0, first.stderr
        found = [line for line in first.stdout.splitlines() if line][-1]
        names = sorted(os.path.relpath(os.path.join(at, n), found) for at, _, files in os.walk(found) for n in files)
        assert names == [
            "model_index.json",
            "transformer/config.json",
            "transformer/diffusion_pytorch_model.safetensors",
        ]
        asked.clear()
        assert fetch(endpoint, tmp_path / "home").stdout == first.stdout
        assert [path for method, path in asked if method == "GET" and "/resolve/" in path] == []


def test_what_the_hub_does_not_have_is_one_sentence(repository, tmp_path):
    with served(repository) as (endpoint, _):
        for location, revision in (("hf://org/name", "elsewhere"), ("hf://org/other", "")):
            refused = fetch(endpoint, tmp_path / "home", location, revision)
            assert "WeightsError: hf://org/" in refused.stderr
            assert "the hub answers 404; check the name and the revision" in refused.stderr
