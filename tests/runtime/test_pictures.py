"""Workers on pictures in buckets: mirrored and drawn anew in every row, and yet the same after a kill."""

import json
import shutil
from dataclasses import replace

import pytest

from mdctl.models.autoencoder_kl import AutoencoderKLConfig
from mdctl.spec.shapes import PixelShape
from tests.data.pictures import write_pictures, write_vae
from tests.runtime.arrays import arrays, assert_identical
from tests.runtime.clips import write_inputs
from tests.workers import KILLER, losses

STEPS = 14
SHAPES = [(40, 40)] * 9 + [(20, 50)] * 7 + [(60, 20)] * 5
KEPT = {"flip": True, "buckets": {"step": 16, "maxRatio": 3}}
NOT_KEPT = {**KEPT, "crop": "random", "cacheLatents": False}


@pytest.fixture
def run(write_job, start_hosts, tmp_path):
    """Run an attempt of the job until its hosts have ended; return their exit codes and what the first said."""
    inputs = write_inputs(tmp_path)
    write_pictures(tmp_path / "pictures", SHAPES)
    shutil.rmtree(tmp_path / "model/vae")
    write_vae(tmp_path / "model", replace(AutoencoderKLConfig.tiny(), latent_channels=16))
    inputs["video"] = {**PixelShape(1, 32, 32)._asdict(), "fps": 1}

    def run(name, data, kill=None, hosts=2):
        (tmp_path / name).mkdir(exist_ok=True)
        training = {"steps": STEPS, "evaluation": {"every": 7}}
        folder = {"type": "folder", "path": str(tmp_path / "pictures"), "heldOut": 2}
        spec = {**inputs, "data": {**folder, **data}, "slice": f"cpu-{hosts}x2", "training": training}
        job = write_job(tmp_path / name, tmp_path / name / "out", **spec)
        programs = [None] * (hosts - 1) + [(KILLER, kill) if kill else None]
        workers = start_hosts(*[job] * hosts, programs=programs)
        return [worker.end() for worker in workers], "".join(workers[0].said)

    return run


@pytest.mark.heavy
@pytest.mark.parametrize("data", [KEPT, NOT_KEPT], ids=["kept", "not kept"])
def test_a_killed_run_on_pictures_ends_where_one_that_was_left_alone_ends(tmp_path, run, data):
    codes, said = run("alone", data)
    assert codes == [0, 0]
    assert "clips by height x width: 48 x 16 (" in said
    assert said.count("is the first with latents of 1 x ") == 2
    codes, _ = run("killed", data, "step-8")
    assert codes[-1] == -9
    assert run("killed", data)[0] == [0, 0]
    alone, killed = tmp_path / "alone/out", tmp_path / "killed/out"
    assert json.loads((killed / "attempts/0002/attempt.json").read_text())["progress"] == 5
    assert losses(killed) == losses(alone)
    assert (killed / "evaluations.jsonl").read_text() == (alone / "evaluations.jsonl").read_text()
    assert_identical(arrays(killed, STEPS), arrays(alone, STEPS))
