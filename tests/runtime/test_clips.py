"""A worker on a folder of clips that changes between its attempts."""

import json

import pytest

from tests.runtime.clips import NUM_CLIPS, write_clip, write_inputs
from tests.workers import KILLER, losses


@pytest.fixture
def inputs(tmp_path):
    return write_inputs(tmp_path)


def test_a_run_keeps_to_the_clips_that_it_began_with(tmp_path, inputs, write_job, start):
    output, steps = tmp_path / "out", {"steps": 14}
    (tmp_path / "alone").mkdir()
    alone = start(
        "-m", "mdctl.runtime", write_job(tmp_path / "alone", tmp_path / "alone/out", **inputs, training=steps)
    )
    assert alone.end() == 0
    job = write_job(tmp_path, output, **inputs, training=steps)
    assert start(KILLER, "step-11", job).end() == -9

    write_clip(tmp_path / "clips", NUM_CLIPS)
    worker = start("-m", "mdctl.runtime", job)
    worker.expect("clips added since this run began are left out (1)")
    assert worker.end() == 0
    assert losses(output) == losses(tmp_path / "alone/out")
    assert len(json.loads((output / "data.json").read_text())["clips"]) == NUM_CLIPS

    (tmp_path / "clips/3.mp4").unlink()
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, output, **inputs, training={"steps": 15}))
    assert worker.end() == 2
    (end,) = [json.loads(path.read_text()) for path in (output / "attempts/0003").glob("*.exit.json")]
    assert "  3.mp4: gone\nPut them back, or name another output directory" in end["cause"]
    assert "Traceback" not in "".join(worker.said)
