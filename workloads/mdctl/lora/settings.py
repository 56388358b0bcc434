"""PEFT's settings of an adapter: which alpha each module has, and what is refused by name.

A pattern of `rank_pattern` or `alpha_pattern` is a regular expression that the end of a module's name matches, from the
beginning or from a dot; the first one counts. With `use_rslora` the product is scaled by alpha / sqrt(rank) instead of
alpha / rank.
"""

import re
from collections.abc import Mapping
from math import sqrt
from typing import Any

from mdctl.spec.errors import WeightsError

FIXED: Mapping[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),  # others change the network's own weights
    "peft_type": ("LORA",),
}

# Of training, of how modules were chosen, of the library; and what only matters beside a setting that is refused.
IGNORED = (
    *("auto_mapping", "base_model_name_or_path", "exclude_modules", "inference_mode", "layers_pattern"),
    *("layers_to_transform", "lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision"),
    *("runtime_config", "target_modules", "task_type", "ensure_weight_tying"),
)

READ = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora")


def refuse_settings(config: Mapping[str, Any], where: str) -> None:
    """Raise WeightsError naming every setting that is not implemented."""
    problems = [
        f"{name}: {value!r} is not implemented" + (f", only {FIXED[name]}" if name in FIXED else "")
        for name, value in config.items()
        if name not in (*READ, *IGNORED) and value not in FIXED.get(name, (None, False, [], {}, 0))
    ]
    problems += [
        f"{name}: {config.get(name)!r} is no number" for name in ("r", "lora_alpha") if not _is_number(config.get(name))
    ]
    if problems:
        raise WeightsError(f"{where}: this adapter asks for what is not implemented:\n  " + "\n  ".join(problems))


def rank_of(config: Mapping[str, Any], module: str) -> int:
    """Return the rank that the settings give a module."""
    return int(_look_up(config.get("rank_pattern"), module, config["r"]))


def alpha_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """Return what, over the rank, scales the product of a module's factors."""
    alpha = float(_look_up(config.get("alpha_pattern"), module, config["lora_alpha"]))
    return alpha * sqrt(rank) if config.get("use_rslora") else alpha


def _look_up(patterns: Mapping[str, Any] | None, module: str, otherwise: Any) -> Any:
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return otherwise


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
