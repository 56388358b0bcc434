import pytest
import yaml
from kubernetes_validate.utils import all_versions

from mdctl.render.checks import KUBERNETES, check_jobset
from mdctl.render.jobset import render_jobset
from tests.render.golden import EXAMPLES, GOLDEN, REPOSITORY, jobs, render

JOBS = jobs()
NEWER = [version.rpartition(".")[0] for version in all_versions() if version.startswith("1.3")]


@pytest.mark.parametrize("path", JOBS, ids=str)
def test_a_file_is_what_is_rendered_now(path):
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    assert text == render(JOBS[path]), "if this change is meant: python -m tests.render.golden"
    check_jobset(yaml.safe_load(text))


def test_no_file_is_left_over():
    there = {path.relative_to(REPOSITORY) for folder in (GOLDEN, EXAMPLES) for path in (REPOSITORY / folder).iterdir()}
    assert there == set(JOBS)


@pytest.mark.parametrize("kubernetes", [version for version in NEWER if version >= KUBERNETES])
def test_newer_versions_of_kubernetes_take_it_too(kubernetes):
    check_jobset(render_jobset(JOBS[GOLDEN / "train-wan-a3-megax2.yaml"]), kubernetes)
