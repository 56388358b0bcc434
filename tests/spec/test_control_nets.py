import pytest

from mdctl.spec.errors import SpecError
from tests.spec.jobs import job

PICTURES: dict[str, dict[str, object]] = {
    "model": {"name": "sd-tiny", "weights": "any"},
    "video": {"height": 32, "width": 32, "frames": 1},
}
EVALUATED = {"controlNet": {}, "evaluation": {"prompts": ["a"]}}
EDGES = {"image": "edges.png"}


def generate(*controls, **spec):
    return {"task": "generate", **PICTURES, "sampling": {"prompts": ["a"], "control": [*controls]}, **spec}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"training": {"controlNet": {}}},
            "training.controlNet is given, but wan2.1-t2v-14b has no ControlNets; use a model of Stable Diffusion",
        ),
        (
            {"task": "generate", "sampling": {"prompts": ["a"], "control": [{**EDGES, "weights": "b"}]}},
            "sampling.control is given, but wan2.1-t2v-14b has no ControlNets",
        ),
        (
            {**PICTURES, "training": {"controlNet": {}, "lora": {}}},
            "training.controlNet leaves the model as it is, and training.lora trains with it; keep one",
        ),
        (
            {**PICTURES, "training": {"controlNet": {}, "textEncoder": {}}},
            "training.controlNet leaves the model as it is, and training.textEncoder trains with it; keep one",
        ),
        (generate(EDGES), "sampling.control.0.weights is unset; name a ControlNet"),
        (
            generate({**EDGES, "weights": "b"}, EDGES),
            "sampling.control.1.weights is unset; name a ControlNet, hf://ORG/NAME, gs:// or a folder "
            "(only the first may leave it to model.checkpoint, a run of train-controlnet)",
        ),
        (
            {**PICTURES, "training": EVALUATED},
            "give it as sampling.control=[{image: PATH}], without weights, or leave the prompts out",
        ),
        (
            {**PICTURES, "training": EVALUATED, "sampling": {"control": [EDGES, EDGES]}},
            "training.evaluation.prompts are sampled with the ControlNet that is trained, and need one picture",
        ),
        (
            {**PICTURES, "sampling": {"control": [EDGES]}},
            "sampling.control is given, but the job trains no ControlNet to sample with; leave it out",
        ),
        (generate({**EDGES, "weights": "b", "low": 300}), "low 300 is above high 200; swap them"),
        ({**PICTURES, "training": {"controlNet": {"low": 300}}}, "low 300 is above high 200; swap them"),
    ],
)
def test_what_does_not_go_together_is_named_with_the_way_out(spec, message):
    with pytest.raises(SpecError) as error:
        job(**spec)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "spec",
    [
        generate({**EDGES, "weights": "hf://org/canny"}, {**EDGES, "weights": "gs://bucket/depth", "scale": 0}),
        generate(EDGES, model={**PICTURES["model"], "checkpoint": "outputs/train-controlnet"}),
        {**PICTURES, "training": {"controlNet": {}}},
        {**PICTURES, "training": EVALUATED, "sampling": {"control": [EDGES]}},
    ],
)
def test_what_goes_together_is_valid(spec):
    job(**spec)
