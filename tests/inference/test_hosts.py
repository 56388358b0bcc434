"""Several hosts that sample together, through the command line and the local engine."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mdctl.demo.prepare import write_model

PROMPTS = ["waves on the left", "waves on the right"]


def test_hosts_that_hold_no_sample_stay_until_all_are_written(tmp_path: Path) -> None:
    """One video at a time leaves one of two hosts with nothing to write."""
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 17, 64, 64, 3)).astype(np.float32)
    write_model(tmp_path / "model", clips, PROMPTS)
    overrides = ["model.checkpoint=null", "model.initialisation=random", "batch.globalSize=1", "sampling.steps=1"]
    arguments = [*PROMPTS, *overrides, f"model.weights={tmp_path / 'model'}", "--output-dir", str(tmp_path / "out")]
    command = [str(Path(sys.executable).with_name("mdctl")), "generate", *arguments, "--local", "--processes", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    samples = [json.loads(path.read_text()) for path in sorted((tmp_path / "out/samples").glob("*.json"))]
    assert [sample["prompt"] for sample in samples] == PROMPTS
    manifest = [json.loads(line) for line in (tmp_path / "out/samples/manifest.jsonl").read_text().splitlines()]
    assert [line["file"] for line in manifest] == [sample["file"] for sample in samples]
    ends = [json.loads(path.read_text()) for path in (tmp_path / "out/attempts/0001").glob("host-*.exit.json")]
    assert [end["code"] for end in ends] == [0, 0]
