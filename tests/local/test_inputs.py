import pytest

from mdctl.local.inputs import check_inputs
from mdctl.spec.errors import DataError
from tests.spec.jobs import job

TINY = {"name": "wan2.1-t2v-tiny", "weights": "weights"}
PICTURES = {
    "model": {"name": "sd-tiny", "weights": "weights"},
    "video": {"height": 32, "width": 32, "frames": 1},
}
FOLLOWED = {"image": "none", "weights": "weights"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("weights", "clips"):
        (tmp_path / name).mkdir()
    (tmp_path / "prompts.txt").write_text("a\n")


def check(**spec):
    check_inputs(job(slice="cpu-1", **{"model": TINY, **spec}))


@pytest.mark.parametrize(
    "spec",
    [
        {"data": {"path": "clips"}},
        {"data": {"path": "gs://bucket/clips"}},
        {"data": {"type": "synthetic"}},
        {"data": {"path": "clips"}, "batch": {"globalSize": 2}, "training": {"prior": {"prompt": "a dog"}}},
        {"model": TINY | {"weights": "hf://org/name"}, "data": {"path": "clips"}},
        {"task": "generate", "sampling": {"promptsFile": "prompts.txt"}},
        {"task": "generate", "sampling": {"prompts": ["a"]}, "data": {"path": "none"}},
    ],
)
def test_a_job_whose_inputs_are_here_or_elsewhere_may_start(here, spec):
    check(**spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "data.path is unset; name a folder of clips, data.path=FOLDER, or data.type=synthetic"),
        ({"data": {"path": "none"}}, "; name another with data.path=PATH"),
        (
            {
                "data": {"path": "clips"},
                "batch": {"globalSize": 2},
                "training": {"prior": {"prompt": "a dog", "path": "dogs"}},
            },
            "make it (pictures that it lacks are put there), or leave it unset",
        ),
        ({"data": {"path": "demo/clips"}}, "`make demo` makes it, or `python -m mdctl.demo prepare`"),
        ({"model": TINY | {"weights": "./none"}}, "model.weights is './none', which is not here"),
        ({"model": TINY | {"weights": "org/name"}}, "name another folder, or hf://ORG/NAME, with model.weights=..."),
        ({"model": TINY | {"weights": "demo/model"}}, "`make demo` makes it"),
        (
            {"model": TINY | {"weights": "picture/model"}},
            "`python -m mdctl.demo picture prepare`, in the folder you run",
        ),
        ({"model": TINY | {"weights": "outputs/train-sd15/published"}}, "`mdctl submit train-sd15 --local` makes it"),
        ({"model": TINY | {"denoiser": "none.safetensors"}}, "name another with model.denoiser=PATH"),
        (
            {"task": "generate", "model": TINY | {"checkpoint": "run"}, "sampling": {"prompts": ["a"]}},
            "model.checkpoint is 'run', which is not here",
        ),
        ({"task": "generate", "sampling": {"promptsFile": "none"}}, "sampling.promptsFile is 'none'"),
        (
            {**PICTURES, "task": "generate", "sampling": {"prompts": ["a"], "control": [FOLLOWED, FOLLOWED]}},
            "sampling.control.0.image is 'none', which is not here",
        ),
        (
            {**PICTURES, "data": {"path": "clips"}, "training": {"controlNet": {"weights": "none"}}},
            "training.controlNet.weights is 'none', which is not here",
        ),
    ],
)
def test_what_is_not_here_is_named_with_the_way_out(here, spec, message):
    with pytest.raises(DataError) as error:
        check(**spec)
    assert message in str(error.value)


def test_a_lora_that_is_not_here_is_named(here):
    lora = [{"weights": "hf://org/name"}, {"weights": "none/ink.safetensors"}]
    with pytest.raises(DataError, match=r"model\.lora\.1\.weights is 'none/ink\.safetensors', which is not here"):
        check(task="generate", sampling={"prompts": ["a"]}, model=TINY | {"lora": lora})
