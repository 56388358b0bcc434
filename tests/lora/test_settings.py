"""PEFT's settings: which alpha and rank a module has, and what is refused."""

from math import sqrt
from typing import Any

import pytest

from mdctl.lora.settings import alpha_of, rank_of, refuse_settings
from mdctl.spec.errors import WeightsError

CONFIG: dict[str, Any] = {
    "r": 4,
    "lora_alpha": 6,
    "rank_pattern": {"to_q": 8, "attn2.to_v": 2, "^proj": 3},
    "alpha_pattern": {r"down.*\.to_k": 1.5},
}


@pytest.mark.parametrize(
    ("module", "rank"),
    [("a.to_q", 8), ("to_q", 8), ("a.into_q", 4), ("a.attn2.to_v", 2), ("a.attn1.to_v", 4), ("proj", 3), ("a.proj", 4)],
)
def test_a_pattern_matches_the_end_of_a_name_from_a_dot(module: str, rank: int) -> None:
    assert rank_of(CONFIG, module) == rank


def test_alphas() -> None:
    assert alpha_of(CONFIG, "down.0.to_k", 4) == 1.5
    assert alpha_of(CONFIG, "up.0.to_k", 4) == 6
    assert alpha_of({**CONFIG, "use_rslora": True}, "up.0.to_k", 3) / 3 == pytest.approx(6 / sqrt(3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("use_dora", True),
        ("bias", "lora_only"),
        ("modules_to_save", ["conv_in"]),
        ("lora_bias", True),
        ("peft_type", "LOHA"),
        ("init_lora_weights", "pissa"),
        ("target_parameters", ["weight"]),
        ("layer_replication", [[0, 4]]),
        ("fan_in_fan_out", True),
        ("of_next_year", 1),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(WeightsError, match=f"^here: this adapter asks for what is not implemented:\n  {name}: "):
        refuse_settings({**CONFIG, name: value}, "here")


@pytest.mark.parametrize("value", [None, "4", 0, True])
def test_numbers_must_be_numbers(value: Any) -> None:
    with pytest.raises(WeightsError, match=r"r: .* is no number"):
        refuse_settings({**CONFIG, "r": value}, "here")


def test_what_does_not_matter_is_let_pass() -> None:
    passing = {
        "init_lora_weights": True,
        "bias": "none",
        "modules_to_save": None,
        "loftq_config": {},
        "use_dora": False,
    }
    refuse_settings({**CONFIG, **passing, "target_modules": ["to_q"], "lora_dropout": 0.1}, "here")
