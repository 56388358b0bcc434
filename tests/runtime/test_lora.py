"""Workers that train a LoRA beside a UNet, publish it, and sample with it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from tests.runtime.arrays import arrays, assert_identical
from tests.runtime.picture_models import caption, write_inputs
from tests.workers import KILLER, losses

STEPS = 12
TRAINING = {
    "steps": STEPS,
    "seed": 5,
    "lora": {"rank": 2, "targets": ["to_q", "to_v", "proj_out", "conv2", "conv_out"]},
    "optimizer": {"learningRate": 0.05},
    "checkpoint": {"every": 5},
}
FILE = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def run(write_job, start_hosts, tmp_path):
    """Run a job on so many hosts until these have ended; return its output directory and what the first one said."""

    def run(name, hosts=1, kill=None, **spec):
        (tmp_path / name).mkdir(exist_ok=True)
        place = {"slice": "cpu-1x1" if hosts == 1 else f"cpu-{hosts}x2"}
        job = write_job(tmp_path / name, tmp_path / name / "out", **place, **spec)
        programs = [None] * (hosts - 1) + [(KILLER, kill) if kill else None]
        workers = start_hosts(*[job] * hosts, programs=programs)
        codes = [worker.end() for worker in workers]
        assert codes[-1] == (-9 if kill else 0), "".join(workers[0].said)
        return tmp_path / name / "out", "".join(workers[0].said)

    return run


def published(output):
    with safe_open(output / "published" / FILE, framework="np") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def records(output):
    return [json.loads(path.read_text()) for path in sorted((output / "samples").glob("*.json"))]


def pixels(output, record):
    return np.asarray(Image.open(output / "samples" / record["file"]), np.float64)


def far(one, other):
    return np.abs(one - other).max()


def test_a_killed_run_ends_where_one_that_was_left_alone_ends_and_publishes_the_same(inputs, run):
    alone, _ = run("alone", **inputs, training=TRAINING)
    killed, _ = run("killed", kill="step-8", **inputs, training=TRAINING)
    assert not (killed / "published").exists()
    killed, _ = run("killed", **inputs, training=TRAINING)
    assert losses(killed) == losses(alone)
    assert_identical(arrays(killed, STEPS), arrays(alone, STEPS))
    assert arrays(alone, STEPS)["params"].keys() == {"adapter"}
    assert sorted(path.name for path in (alone / "published").iterdir()) == ["published.json", FILE]
    assert json.loads((alone / "published/published.json").read_text()) == {"step": STEPS, "parameters": "ema"}
    first = published(alone)
    assert_identical(published(killed), first)

    shutil.rmtree(alone / "published")  # as if it had been killed before
    _, said = run("alone", **inputs, training=TRAINING)
    assert "nothing is left to do" in said
    assert_identical(published(alone), first)


def test_what_is_trained_over_two_hosts_is_published_by_the_first(inputs, run):
    alone, _ = run("alone", **inputs, training={**TRAINING, "steps": 3})
    together, _ = run("together", hosts=2, **inputs, training={**TRAINING, "steps": 3})
    for key, values in published(alone).items():
        np.testing.assert_allclose(published(together)[key], values, atol=1e-3)


def test_what_is_trained_is_sampled_by_checkpoint_and_as_published_and_switched_by_prompts(inputs, run, tmp_path):
    trained, _ = run("trained", **inputs, training=TRAINING)
    lora = {"weights": str(trained / "published"), "name": "ours"}
    lines = [{}, {"lora": {"ours": 0}}, {"lora": {"ours": -1}}]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f"{json.dumps({'prompt': caption(0), 'seed': 3, **line})}\n" for line in lines))

    def sample(name, model, **sampling):
        spec = {"task": "generate", **inputs, "model": {**inputs["model"], **model}, "training": {"seed": 5}}
        few = {"steps": 3, "guidance": 2, **(sampling or {"prompts": [caption(0)], "seed": 3})}
        output, said = run(name, **spec, batch={"globalSize": 2}, sampling=few)
        return [pixels(output, record) for record in records(output)], said

    (by_checkpoint,), _ = sample("checkpoint", {"checkpoint": str(trained)})
    (merged,), _ = sample("merged", {"lora": [lora]})
    (base,), _ = sample("base", {})
    (ours, none, opposite), said = sample("apart", {"lora": [lora], "loraMerge": False}, promptsFile=str(prompts))
    assert far(merged, base) > 4 < far(opposite, base)
    assert far(opposite, merged) > 4
    assert far(by_checkpoint, merged) <= 1
    assert far(ours, merged) <= 1
    assert far(none, base) <= 1
    assert said.count("made 000") == 3

    _, said = sample("apart", {"lora": [{**lora, "scale": 0.5}], "loraMerge": False}, promptsFile=str(prompts))
    assert said.count("made 000") == said.count("made 0000-") == 1
