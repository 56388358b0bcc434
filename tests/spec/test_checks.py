import pytest

from mdctl.spec.checks import neighbours
from mdctl.spec.errors import SpecError
from tests.spec.jobs import job

TINY = {"name": "wan2.1-t2v-tiny", "weights": "demo/model"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"video": {"height": 1080}},
            "video.height 1080 is not a multiple of 16 (VAE stride 8 x patch 2); use 1072 or 1088",
        ),
        ({"video": {"width": 8}}, "video.width 8 is not a multiple of 16 (VAE stride 8 x patch 2); use 16"),
        ({"video": {"frames": 80}}, "video.frames 80 is not 4k + 1, which wan2.1-t2v-14b's VAE needs; use 77 or 81"),
        (
            {"mesh": {"ici": {"tensor": 3}}, "slice": "cpu-6"},
            "mesh.ici.tensor 3 does not divide the 40 attention heads of wan2.1-t2v-14b; "
            "use one of 1, 2, 4, 5, 8, 10, 20, 40",
        ),
        (
            {"mesh": {"ici": {"fsdp": 1, "tensor": -1}}, "slice": "cpu-6"},
            "the tensor axis fills up to 6, which does not divide the 40 heads of wan2.1-t2v-14b",
        ),
        (
            {"training": {"gradientAccumulation": 3}},
            "a global batch of 32 cannot be cut into 3 pieces (training.gradientAccumulation) of 32 shards; "
            "use a batch of 96",
        ),
        (
            {"training": {"steps": 10, "schedule": {"warmupSteps": 11}}},
            "training.schedule.warmupSteps 11 exceeds training.steps 10; "
            "add training.schedule.warmupSteps=1, or another number up to 10",
        ),
        (
            {"data": {"type": "synthetic", "synthetic": {"height": 1080}}},
            "data.synthetic.height 1080 is not a multiple of 16",
        ),
        ({"data": {"type": "synthetic", "synthetic": {"frames": 80}}}, "data.synthetic.frames 80 is not 4k + 1"),
        (
            {"data": {"buckets": {"step": 24}}},
            "data.buckets.step 24 is not a multiple of 16, the pixels that a position of wan2.1-t2v-14b spans; "
            "use 16 or 32",
        ),
        (
            {"data": {"crop": "random"}},
            "crop random takes another part of a clip each time, but cacheLatents true keeps the latents of one; "
            "add data.cacheLatents=false, or use crop center",
        ),
        (
            {"task": "generate", "slice": "v6e-8", "numSlices": 4, "mesh": {"dcn": {"data": 4}}},
            "mesh.dcn: data 4, but each of the 4 slices generates alone, and no mesh spans two; leave mesh.dcn out",
        ),
        (
            {"task": "generate", "slice": "v6e-8", "numSlices": 4, "sampling": {"prompts": ["a", "b"]}},
            "numSlices is 4, each of which makes prompts of its own, but sampling.prompts has 2; "
            "use numSlices 2, or give more prompts",
        ),
        (
            {"model": {"lora": [{"weights": "a"}]}},
            "model.lora is for sampling, and the task is train; leave it out, and generate with the model that was",
        ),
        (
            {
                "task": "generate",
                "sampling": {"prompts": ["a"]},
                "model": {
                    "lora": [{"weights": "runs/1/ink.safetensors"}, {"weights": "hf://a/b", "weightName": "ink.pt"}]
                },
            },
            "model.lora: 2 are called 'ink'; give each of them a name of its own, with `name`",
        ),
        (
            {
                "task": "generate",
                "sampling": {"prompts": ["a"]},
                "model": {"lora": [{"weights": "ink.pt", "weightName": "a.pt"}]},
            },
            "model.lora.0.weights 'ink.pt' is a file, and weightName 'a.pt' names one as well; leave weightName out",
        ),
        ({"hardware": "gpu"}, "hardware is 'gpu' but slice v5p-64 is 'tpu'; change one of them"),
        (
            {"model": {"name": "wan2.1-t2v-tiny"}},
            "model.weights is unset and wan2.1-t2v-tiny has no published repository; name a folder or gs://",
        ),
        (
            {"model": TINY | {"revision": "main"}},
            "model.revision 'main' needs hf:// weights, not 'demo/model'",
        ),
        ({"model": {"name": "wan"}}, "model.name: no model is called 'wan'; the nearest is 'wan2.1-t2v-"),
        (
            {"task": "generate"},
            "task is generate, and sampling.prompts and sampling.promptsFile are both unset; give one",
        ),
        (
            {"model": {"name": "sd2.1"}, "video": {"height": 768, "width": 768}},
            "video.frames is 81, but sd2.1 makes pictures; set video.frames=1",
        ),
        (
            {
                "model": {"name": "sd2"},
                "video": {"height": 512, "width": 512, "frames": 1},
                "mesh": {"ici": {"tensor": 2}},
            },
            "mesh.ici.tensor 2 does not divide the 5 attention heads of sd2; use one of 1, 5",
        ),
        (
            {"training": {"objective": {"weighting": "min-snr"}}},
            "training.objective.weighting 'min-snr' is given, but wan2.1-t2v-14b was trained by flow matching",
        ),
        (
            {"training": {"objective": {"weighting": "bell", "timeBias": {"multiplier": 2}}}},
            "training.objective.timeBias is for timeDensity 'uniform' without the weighting 'bell'",
        ),
        (
            {"task": "generate", "model": {"name": "sdxl-lightning"}, "sampling": {"prompts": ["a"], "steps": 5}},
            "sampling.steps is 5, but sdxl-lightning was distilled to 1, 2, 4, 8 steps; use one of these",
        ),
        (
            {"model": {"name": "sdxl-lightning"}},
            "sdxl-lightning was distilled from sdxl and is not trained further; set model.name=sdxl",
        ),
        (
            {"training": {"textEncoder": {}}},
            "training.textEncoder is not implemented for wan2.1-t2v-14b, only for Stable Diffusion; set it to null",
        ),
        (
            {"sampling": {"mask": "mask.png"}},
            "sampling.mask 'mask.png' says what is kept of sampling.image, which is unset; give both",
        ),
        (
            {"sampling": {"image": "a.png"}},
            "sampling.image is given, but wan2.1-t2v-14b makes videos from text alone; use a model of pictures",
        ),
        (
            {"sampling": {"image": "a.png", "steps": 4, "strength": 0.2}},
            "sampling.strength 0.2 of 4 steps is less than one step; use at least 0.25, or more steps",
        ),
        (
            {"task": "generate", "sampling": {"prompts": ["a"], "promptsFile": "b"}},
            "sampling.prompts and sampling.promptsFile 'b' are both given; give one",
        ),
    ],
)
def test_two_fields_that_do_not_fit_are_named_with_the_way_out(spec, message):
    with pytest.raises(SpecError) as error:
        job(**spec)
    assert message in str(error.value)


def test_every_problem_is_on_one_screen():
    with pytest.raises(SpecError) as error:
        job(video={"height": 1080, "width": 1081, "frames": 80}, mesh={"ici": {"tensor": 3}})
    assert len(str(error.value).splitlines()) == 6


@pytest.mark.parametrize(("size", "near"), [(1080, "1072 or 1088"), (15, "16"), (16, "16 or 32")])
def test_neighbours_are_multiples_that_there_are(size, near):
    assert neighbours(size, 16) == near


def env(name, variable):
    return {"name": name, "key": "k", "env": variable}


def mounted(path, name="s"):
    return {"name": name, "mountPath": path}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"secrets": [env("a", "A"), env("b", "A")]}, "the variable A is given 2 times in environment and secrets"),
        ({"secrets": [env("a", "A")], "environment": {"A": "1"}}, "the variable A is given 2 times"),
        ({"secrets": [env("a", "MDCTL_RUN")]}, "secrets.0.env 'MDCTL_RUN' is set by mdctl itself"),
        ({"secrets": [mounted("/etc/mdctl/")]}, "mountPath '/etc/mdctl' and /etc/mdctl, in every pod, overlap"),
        ({"secrets": [mounted("/dev/shm/x")]}, "mountPath '/dev/shm/x' and /dev/shm, in every pod, overlap"),
        ({"secrets": [mounted("/a/..")]}, "mountPath '/' and /etc/mdctl, in every pod, overlap"),
        ({"secrets": [mounted("/a"), mounted("//a/", "t")]}, "2 secrets have the mountPath '/a'"),
    ],
)
def test_secrets_that_collide_are_refused(spec, message):
    with pytest.raises(SpecError) as error:
        job(**spec)
    assert message in str(error.value)


def test_secrets_apart_are_taken():
    job(secrets=[env("a", "A"), env("a", "B"), mounted("/secrets/a"), mounted("/secrets/b")], environment={"C": "1"})
