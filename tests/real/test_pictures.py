"""`mdctl submit train-sd15 --size small`, the text encoder along, on two v5p-16 slices and as one process here."""

import pytest

from tests.buckets import upload
from tests.real.jobs import bucket_of, losses, names_in
from tests.runtime.picture_models import SIDE, WHOLE, write_inputs
from tests.runtime.test_hosts import OTHER_MESH
from tests.workers import losses as losses_here

STEPS = 6
SMALL = [
    *("train-sd15", "--size", "small"),
    f"video.height={SIDE}",
    f"video.width={SIDE}",
    f"training.steps={STEPS}",
    f"training.checkpoint.every={STEPS}",
    "training.logEvery=1",
    "training.schedule.warmupSteps=1",
]


@pytest.fixture
def inputs(real, tmp_path):
    """Return where pictures and a repository are, here and in a bucket: what the overrides say of either."""
    write_inputs(tmp_path)
    there = bucket_of("mdctl-pictures")
    for part in ("pictures", "model"):
        upload(tmp_path / part, f"{there}/{part}")
    return [[f"data.path={where}/pictures", f"model.weights={where}/model"] for where in (tmp_path, there)]


def test_four_pods_train_a_unet_and_its_text_encoder_as_one_process_does(jobs, runs, inputs, tmp_path):
    here, there = inputs
    output = f"{runs}/pictures"
    slices = ["--slice", "v5p-16", "--num-slices", "2", "--output-dir", output]
    jobs.submit(*SMALL, *slices, *there, name="pictures")
    jobs.completed("pictures")
    jobs.mdctl("submit", *SMALL, "--local", "--output-dir", str(tmp_path / "out"), *here)
    assert losses(output) == pytest.approx(losses_here(tmp_path / "out"), rel=OTHER_MESH)
    assert len(losses(output)) == STEPS
    published = {name.partition("/")[0] for name in names_in(f"{output}/published")}
    assert published == {*WHOLE, "published.json"}
