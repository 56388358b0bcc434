"""The worker on one GPU, started with the environment that its pod would have: train, resume, and make pictures."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mdctl.render.environment import accelerator_variables
from mdctl.spec.reading import parse_job
from tests.runtime.picture_models import write_inputs
from tests.workers import losses, metrics

pytestmark = pytest.mark.gpu

STEPS = 20


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    written: dict[str, Any] = write_inputs(tmp_path_factory.mktemp("inputs"))
    return written


def run(folder: Path, name: str, spec: dict[str, Any]) -> Path:
    """Run a job to its end, and return its output directory."""
    output = folder / name
    whole = {"slice": "h100-1", "remat": "none", "outputDir": str(output), **spec}
    job = {"apiVersion": "mdctl.dev/v1alpha1", "kind": "DiffusionJob", "metadata": {"name": name}, "spec": whole}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(job))
    parsed = parse_job(job, name)
    variables = accelerator_variables(parsed, parsed.spec.resolved_slice)
    command = [sys.executable, "-m", "mdctl.runtime", str(file)]
    done = subprocess.run(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return output


def training(inputs: dict[str, Any], steps: int) -> dict[str, Any]:
    return inputs | {
        "task": "train",
        "model": inputs["model"] | {"initialisation": "random", "activationsDtype": "bfloat16"},
        "attention": {"kernel": "cudnn_flash_te", "flashMinSeqLength": 1},
        "batch": {"globalSize": 4},
        "training": {"steps": steps, "logEvery": 1, "checkpoint": {"every": STEPS // 2}, "ema": {"decay": 0.9}},
    }


def test_a_job_trains_resumes_exactly_and_its_pictures_are_made(tmp_path: Path, inputs: dict[str, Any]) -> None:
    whole = run(tmp_path, "whole", training(inputs, STEPS))
    assert [record["step"] for record in metrics(whole)] == list(range(1, STEPS + 1))
    assert all(map(math.isfinite, losses(whole).values()))

    begun = run(tmp_path, "halves", training(inputs, STEPS // 2))
    resumed = run(tmp_path, "halves", training(inputs, STEPS))
    assert begun == resumed
    assert losses(resumed) == losses(whole)

    made = run(
        tmp_path,
        "pictures",
        {
            "task": "generate",
            "model": inputs["model"] | {"checkpoint": str(whole)},
            "video": inputs["video"],
            "batch": {"globalSize": 2},
            "attention": {"kernel": "flash"},
            "sampling": {"prompts": ["waves number a", "waves number b"], "steps": 4},
        },
    )
    assert len(list(made.rglob("*.png"))) >= 2
