"""Workers on pictures: a UNet and its text encoder trained by one host and by two, and what they make."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.runtime.arrays import arrays
from tests.runtime.picture_models import SDXL, WHOLE, caption, picture, write_inputs
from tests.runtime.test_hosts import OTHER_MESH
from tests.workers import losses

STEPS = 6
ALONG = {
    "steps": STEPS,
    "objective": {"stratified": True, "noiseOffset": 0.1},
    "textEncoder": {"learningRate": 5.0e-4},
    "checkpoint": {"every": STEPS},
}


@pytest.fixture
def run(write_job, start_hosts, tmp_path):
    """Run a job to its end on so many hosts; return its output directory and what the first host said."""

    def run(name, hosts=1, **spec):
        (tmp_path / name).mkdir(exist_ok=True)
        place = {"slice": "cpu-1x1" if hosts == 1 else f"cpu-{hosts}x2"}
        job = write_job(tmp_path / name, tmp_path / name / "out", **place, **spec)
        workers = start_hosts(*[job] * hosts)
        assert [worker.end() for worker in workers] == [0] * hosts, "".join(workers[0].said)
        return tmp_path / name / "out", "".join(workers[0].said)

    return run


def records(output):
    return [json.loads(path.read_text()) for path in sorted((output / "samples").glob("*.json"))]


def pixels(output, record):
    return np.asarray(Image.open(output / "samples" / record["file"]), np.float64)


def test_a_unet_and_its_text_encoder_train_alike_on_one_host_and_two_and_are_sampled(tmp_path, run):
    inputs = write_inputs(tmp_path)
    alone, _ = run("alone", **inputs, training=ALONG)
    together, _ = run("together", hosts=2, **inputs, training=ALONG)
    for step, loss in losses(alone).items():
        assert losses(together)[step] == pytest.approx(loss, rel=OTHER_MESH)
    assert arrays(alone, STEPS)["params"].keys() == {"denoiser", "text"}

    sampling = {"steps": 3, "guidance": 2, "guidanceRescale": 0.7, "prompts": [caption(0), caption(1)]}
    sampled = {
        "task": "generate",
        **inputs,
        "model": {**inputs["model"], "checkpoint": str(alone)},
        "sampling": {**sampling, "samplesPerPrompt": 2},
    }
    output, said = run("sampled", **sampled)
    assert "4 of 4 samples are there" in said
    first, second, third, _ = records(output)
    assert [each["number"] for each in records(output)] == [0, 1, 2, 3]
    assert first["prompt"] == second["prompt"] != third["prompt"]
    assert first["sampling"]["sampler"] == "ddim"
    assert first["sampling"]["spacing"] == "trailing"
    assert np.abs(pixels(output, first) - pixels(output, second)).max() > 8
    _, said = run("sampled", **sampled)
    assert "made" not in said

    assert {path.name for path in (alone / "published").iterdir()} == {*WHOLE, "published.json"}
    published = {**inputs["model"], "weights": str(alone / "published"), "initialisation": "weights"}
    again, _ = run("published", **{**sampled, "model": published})
    assert np.abs(pixels(again, records(again)[0]) - pixels(output, first)).max() <= 1


def test_sdxl_trains_with_its_framing_and_makes_anew_what_a_mask_shows(tmp_path, run):
    inputs = write_inputs(tmp_path, SDXL)
    buckets = {**inputs["data"], "flip": True, "buckets": {"step": 8, "maxRatio": 2}}
    trained, _ = run("trained", **{**inputs, "data": buckets}, training={"steps": 4, "checkpoint": {"every": 4}})
    assert len(losses(trained)) == 4
    mask = np.zeros((32, 32, 3), np.uint8)
    mask[:, 16:] = 255
    Image.fromarray(picture(0)).save(tmp_path / "image.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    sampling = {
        "steps": 4,
        "guidance": 2,
        "prompts": [caption(1)],
        "image": str(tmp_path / "image.png"),
        "mask": str(tmp_path / "mask.png"),
        "strength": 1,
    }
    model = {**inputs["model"], "checkpoint": str(trained)}
    output, _ = run(
        "sampled", task="generate", **{**inputs, "model": model}, batch={"globalSize": 1}, sampling=sampling
    )
    (made,) = records(output)
    differences = np.abs(pixels(output, made) - picture(0))
    assert differences[:, :16].mean() < 8  # what the codec loses
    assert differences[:, 16:].mean() > 24
