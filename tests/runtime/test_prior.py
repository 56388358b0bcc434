"""Pictures of a subject beside its class: which are made, when, and that both are trained on."""

import json
import shutil
from types import SimpleNamespace

import pytest
from etils import epath

from mdctl.runtime.prior import make_prior, num_lacking, sampled
from mdctl.spec.errors import DataError
from mdctl.spec.training import Prior
from tests.runtime.picture_models import write_inputs
from tests.spec.jobs import job
from tests.workers import losses

CLASS = "waves"
SUBJECT = "waves number sks"


def prior(count):
    return Prior(prompt=CLASS, count=count)


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b/c.jpg", "samples/0000-waves-0.png", "samples/0001-waves-1.png"):
        (tmp_path / "class" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "class" / name).write_bytes(b"")
    (tmp_path / "class/samples/0000-waves.json").write_text("{}")
    return epath.Path(tmp_path / "class")


@pytest.mark.parametrize(("count", "made"), [(3, 0), (4, 0), (5, 3), (9, 7)])
def test_what_was_made_is_among_what_is_to_be_made_until_all_is_there(folder, count, made):
    assert num_lacking(folder, prior(count)) == made


def test_a_folder_that_is_not_there_lacks_everything(tmp_path):
    assert num_lacking(epath.Path(tmp_path / "none"), prior(7)) == 7


def test_a_list_of_too_few_is_refused(folder):
    (folder / "metadata.csv").write_text("file_name\na.png\n")
    assert num_lacking(folder, prior(1)) == 0
    with pytest.raises(DataError, match=r"metadata.csv lists 1 pictures, and training.prior.count is 2\. Lower"):
        num_lacking(folder, prior(2))


def test_pictures_of_the_class_are_sampled_as_the_spec_says_from_what_training_starts_from():
    spec = job(
        model={"name": "sd1.5", "checkpoint": "outputs/run"},
        video={"frames": 1},
        batch={"perDevice": 2},
        training={"prior": {"prompt": CLASS}},
        sampling={"prompts": ["a", "b"], "image": "a.png", "steps": 7, "seed": 3},
    ).spec
    of_class = sampled(spec, 5)
    assert (of_class.model.checkpoint, of_class.sampling.image) == (None, None)
    assert (of_class.sampling.prompts, of_class.sampling.samples_per_prompt) == ((CLASS,), 5)
    assert (of_class.sampling.steps, of_class.sampling.seed) == (7, 3)
    assert of_class.layout == spec.layout
    assert spec.sampling.prompts == ("a", "b")


def test_where_progress_is_saved_nothing_is_made():
    spec = SimpleNamespace(training=SimpleNamespace(prior=prior(9)))
    assert make_prior(SimpleNamespace(spec=spec, progress=3), preparation=None) is None


@pytest.fixture
def run(write_job, start_hosts, tmp_path):
    """Run a job to its end on so many hosts; return its output directory and what they said."""

    def run(name, hosts=1, code=0, **spec):
        (tmp_path / name).mkdir(exist_ok=True)
        place = {"slice": "cpu-1x1" if hosts == 1 else f"cpu-{hosts}x2"}
        path = write_job(tmp_path / name, tmp_path / name / "out", **place, **spec)
        workers = start_hosts(*[path] * hosts)
        assert [worker.end() for worker in workers] == [code] * hosts, "".join(workers[0].said)
        return tmp_path / name / "out", "".join(said for worker in workers for said in worker.said)

    return run


def test_pictures_of_the_class_are_made_once_by_all_hosts_and_trained_on(tmp_path, run):
    inputs = write_inputs(tmp_path)
    few = tmp_path / "few"
    few.mkdir()
    for number in range(2):
        shutil.copy(tmp_path / f"pictures/{number}.png", few)  # without the caption beside it
    training = {
        "steps": 3,
        "lora": {"rank": 2, "targets": ["to_q", "conv2", "conv_out"]},
        "prior": {"prompt": CLASS, "count": 2},
        "checkpoint": {"every": 3},
    }
    spec = {
        **inputs,
        "data": {"path": str(few), "type": "folder", "caption": SUBJECT},
        "sampling": {"steps": 2, "guidance": 2},
    }
    output, said = run("first", hosts=2, **spec, training=training)
    assert len(losses(output)) == 3
    assert said.count('"made 000') == 2
    assert [clip["caption"] for clip in json.loads((output / "data.json").read_text())["clips"]] == [SUBJECT] * 2
    clips = json.loads((output / "prior.json").read_text())["clips"]
    assert [clip["caption"] for clip in clips] == [CLASS] * 2
    kept, lost = (output / "prior" / clip["name"] for clip in clips)
    content = kept.read_bytes()

    lost.unlink()  # as if the job had been killed before it was there
    shared = {**training, "prior": {**training["prior"], "path": str(output / "prior")}}
    again, said = run("again", hosts=2, **spec, training=shared)
    assert said.count('"made 000') == 1
    assert '"made 0001' in said
    assert (kept.read_bytes(), lost.exists()) == (content, True)
    assert [losses(again)[step] for step in range(1, 4)] == [losses(output)[step] for step in range(1, 4)]

    without = {**training, "steps": 4, "prior": None}
    _, said = run("again", hosts=2, code=2, **spec, training=without)
    assert "was trained with of_class 2, the spec says 0; put it back" in said
