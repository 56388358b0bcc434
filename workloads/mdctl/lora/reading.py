"""From a file in any format to an adapter; whatever does not fit the network is told of at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mdctl.lora.adapter import Adapter, Pair
from mdctl.lora.files import LoraFile, open_lora
from mdctl.lora.keys import ALPHA, DOWN, UP, Key, Speller, foreign_kinds, parse, split_part
from mdctl.lora.modules import Module, Modules
from mdctl.lora.settings import alpha_of, rank_of, refuse_settings
from mdctl.models.weights import fold
from mdctl.spec.errors import WeightsError

Sides = dict[str, np.ndarray]
"""`down`, `up` and perhaps `alpha` -> the tensor."""

SHOWN = 30
"""Lines of what is wrong with a file."""

Problems = dict[str, list[str]]
"""What is wrong -> of which keys or modules."""


def read(path: Path, parts: Mapping[str, Modules], weight_name: str | None = None) -> Adapter:
    """Read an adapter for the parts of a pipeline: its only file, the one named, or that of a folder.

    Parts are called as in published pipelines: `unet` or `transformer`, `text_encoder`, `text_encoder_2`. A module
    without an alpha has its rank for one. Raises WeightsError listing every key without a module, every module without
    one of its factors, and every factor of the wrong shape; or what the file is instead of a LoRA.
    """
    file = open_lora(path, weight_name)
    if kinds := foreign_kinds(file.tensors):
        raise WeightsError(f"{file.path}: holds {', '.join(kinds)}, of which none is implemented; only LoRA is.")
    spellers = {part: Speller(modules) for part, modules in parts.items()}
    found, wrong = _assign(file, spellers)
    adapter: dict[str, dict[str, Pair]] = {}
    configs = {part: _settings(file, part) for part in parts}
    for (part, name), sides in found.items():
        if problem := _problem(parts[part][name], sides, configs[part]):
            wrong[problem].append(f"{part}.{name}")
        else:
            adapter.setdefault(part, {})[name] = _pair(parts[part][name], sides, configs[part])
    if wrong or not adapter:
        model = f"this model, of {', '.join(parts)}"
        raise WeightsError(f"{file.path}: this LoRA is not for {model}. Check model and LoRA.\n  {_list(wrong)}")
    return adapter


def _list(wrong: Problems) -> str:
    """Return what is wrong, one line for names that differ only in numbers, and no more lines than a screen has."""
    lines = [*chain.from_iterable(fold(problem, names) for problem, names in wrong.items())]
    left = len(lines) - SHOWN
    shown = [*lines[:SHOWN], *([f"and {left} more lines like these"] if left > 0 else [])]
    return "\n  ".join(shown or ["it holds no factors at all"])


def _assign(file: LoraFile, spellers: Mapping[str, Speller]) -> tuple[dict[tuple[str, str], Sides], Problems]:
    """Return for each part and module its tensors, and what is wrong with the other keys."""
    keys = {key: parsed for key in file.tensors if (parsed := parse(key))}
    unsaid = _unsaid_part(file, keys, spellers)
    found: dict[tuple[str, str], Sides] = defaultdict(dict)
    wrong: Problems = defaultdict(list)
    for key, values in file.tensors.items():
        place = _place(keys[key], unsaid, spellers) if key in keys else None
        if place is None:
            wrong["unknown"].append(key)
        elif keys[key].side in found[place]:
            wrong["of a module that another key is of as well"].append(key)
        else:
            found[place][keys[key].side] = values
    return found, wrong


def _place(key: Key, unsaid: Collection[str], spellers: Mapping[str, Speller]) -> tuple[str, str] | None:
    """Return the part and the module that a key is of; None if there is no such."""
    said, name, kohya = split_part(key.stem)
    part = next((part for part in said or unsaid if part in spellers), None)
    module = spellers[part].find(name, old=key.old, kohya=kohya) if part else None
    return (part, module) if part and module else None


def _unsaid_part(file: LoraFile, keys: Mapping[str, Key], spellers: Mapping[str, Speller]) -> tuple[str, ...]:
    """Return the part that keys are of which do not say it: the one where most of them have a module that they fit."""
    fitting = dict.fromkeys(spellers, 0)
    for key, parsed in keys.items():
        said, name, _ = split_part(parsed.stem)
        for part, speller in spellers.items() if not said else ():
            module = speller.find(name, old=parsed.old, kohya=False)
            fitting[part] += module is not None and _fits(speller.modules[module], parsed.side, file.tensors[key])
    most = max(fitting.values(), default=0)
    parts = tuple(part for part, count in fitting.items() if count == most > 0)
    if len(parts) > 1:
        raise WeightsError(
            f"{file.path}: its keys fit {' and '.join(parts)} alike and do not say which. Begin each with its part, as "
            f"{parts[0]}.{next(iter(keys))}"
        )
    return parts


def _fits(module: Module, side: str, values: np.ndarray) -> bool:
    """Whether a factor is of this module's size, in as many dims as may be."""
    if side == DOWN:
        return _cut(values.shape[1:]) == _cut(module.shape[1:])
    return side == ALPHA or (values.shape[:1] == module.shape[:1] and not _cut(values.shape[2:]))


def _cut(shape: Collection[int]) -> list[int]:
    """Return the dims that are not of size one: a layer of one position is linear, whichever way it is written."""
    return [size for size in shape if size != 1]


def _problem(module: Module, sides: Sides, config: Mapping[str, Any] | None) -> str | None:
    """Say what keeps tensors from being the factors of a module."""
    for side in (DOWN, UP):
        if side not in sides:
            return f"has no {side} factor"
        if sides[side].ndim < 2 or not _fits(module, side, sides[side]):
            return f"{side} factor of shape {sides[side].shape} where the module's is {module.shape}"
    rank, columns = len(sides[DOWN]), sides[UP].shape[1]
    if rank != columns:
        return f"rank {rank} down and {columns} up"
    if config is not None and rank != (said := rank_of(config, module.name)):
        return f"rank {rank} where the settings say {said}"
    if ALPHA in sides and (sides[ALPHA].size != 1 or not 0 < sides[ALPHA].item() < np.inf):
        return f"alpha {sides[ALPHA].tolist()} is no positive number"
    return None


def _pair(module: Module, sides: Sides, config: Mapping[str, Any] | None) -> Pair:
    down, up = sides[DOWN], sides[UP]
    rank = len(down)
    alpha = float(rank) if config is None else alpha_of(config, module.name, rank)
    if ALPHA in sides:
        alpha = sides[ALPHA].item()
    return Pair(down.reshape(rank, *module.shape[1:]), up.reshape(module.shape[0], rank), alpha)


def _settings(file: LoraFile, part: str) -> Mapping[str, Any] | None:
    """Return PEFT's settings for a part; None if the file has none."""
    config = file.config
    if config is None and file.part_configs is not None:
        beginning = f"{part}."
        config = {
            name.removeprefix(beginning): value
            for name, value in file.part_configs.items()
            if name.startswith(beginning)
        }
    if not config:
        return None
    refuse_settings(config, str(file.path))
    return config
