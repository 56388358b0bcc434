"""How much each adapter counts in a prompt, and which prompts are sampled together."""

import pytest

from mdctl.data.prompts import Prompt
from mdctl.inference.generate import grouped, scales_of
from mdctl.inference.program import Draw
from mdctl.inference.samples import Wanted
from mdctl.spec.errors import SpecError
from mdctl.spec.model import ModelSpec

LORA = [{"weights": "runs/ink.safetensors", "scale": 0.8}, {"weights": "hf://a/dots"}]
APART = ModelSpec.model_validate({"lora": LORA, "loraMerge": False})
MERGED = ModelSpec.model_validate({"lora": LORA})


def test_a_prompt_that_says_nothing_has_the_specs_scales():
    assert scales_of(APART, Prompt("a")) == scales_of(MERGED, Prompt("a")) == (0.8, 1.0)


def test_names_that_a_prompt_leaves_out_are_zero():
    assert scales_of(APART, Prompt("a", lora={"dots": 2.0})) == (0.0, 2.0)
    assert scales_of(APART, Prompt("a", lora={})) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        (APART, "inc", r"p\.jsonl, line 2: lora names 'inc', but model\.lora has ink, dots; name one of these"),
        (MERGED, "ink", r"p\.jsonl, line 2: has scales of its own .* add model\.loraMerge=false, or leave lora out"),
    ],
)
def test_what_cannot_be_switched_is_named_with_its_line(model, name, message):
    with pytest.raises(SpecError, match=message):
        scales_of(model, Prompt("a", lora={name: 1.0}, place="p.jsonl, line 2"))


def test_samples_of_the_same_scales_go_together_in_their_order():
    wanted = [Wanted("a", Draw(0, n), f"{n}", scales) for n, scales in enumerate([(1.0,), (0.0,), (1.0,)])]
    assert [(scales, [each.name for each in group]) for scales, group in grouped(wanted)] == [
        ((1.0,), ["0", "2"]),
        ((0.0,), ["1"]),
    ]
