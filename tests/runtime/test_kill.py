"""A run that is killed again and again ends exactly where one that was left alone ends."""

import json
import shutil

from tests.runtime.arrays import arrays, assert_identical
from tests.workers import KILLER, STEPS, losses, metrics


def test_a_run_records_every_step_once(uninterrupted):
    assert [record["step"] for record in metrics(uninterrupted)] == list(range(1, STEPS + 1))
    assert json.loads((uninterrupted / "attempts/0001/host-0.exit.json").read_text())["code"] == 0


def test_a_killed_run_ends_where_one_that_was_left_alone_ends(uninterrupted, tmp_path, write_job, start):
    job = write_job(tmp_path, tmp_path / "out")
    for point in ("step-3", "seal-5", "step-8", "seal-10"):
        assert start(KILLER, point, job).end() == -9
    assert start("-m", "mdctl.runtime", job).end() == 0
    assert [record["step"] for record in metrics(tmp_path / "out")] == list(range(1, STEPS + 1))
    assert losses(tmp_path / "out") == losses(uninterrupted)
    assert_identical(arrays(tmp_path / "out", STEPS), arrays(uninterrupted, STEPS))


def test_a_damaged_checkpoint_is_passed_over_and_trained_again(uninterrupted, tmp_path, write_job, start):
    shutil.copytree(uninterrupted, tmp_path / "out")
    victim = next((tmp_path / "out" / "checkpoints" / str(STEPS) / "params").glob("*/d/*"))
    victim.write_bytes(victim.read_bytes()[:100])
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, tmp_path / "out"))
    warning = worker.expect("damaged checkpoint passed over")
    assert victim.name in warning
    worker.expect(f'"from_step": {STEPS - 5}')
    assert worker.end() == 0
    assert losses(tmp_path / "out") == losses(uninterrupted)
    assert_identical(arrays(tmp_path / "out", STEPS), arrays(uninterrupted, STEPS))
