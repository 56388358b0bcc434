"""Prompt files: one prompt a line, or JSON lines.

    {"prompt": "a red fox", "seed": 7, "lora": {"ink": 0.8}}

A line may fix its `seed`, and say which adapters count in it, and how much.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from etils import epath

from mdctl.data.captions import is_text, json_lines, read_text
from mdctl.spec.errors import DataError

MAX_SEED = 2**32 - 1
MAX_SCALE = 1000.0


@dataclass(frozen=True)
class Prompt:
    """A prompt; without a seed or scales of its own it takes the job's. `place` says where it was read."""

    text: str
    seed: int | None = None
    lora: Mapping[str, float] | None = None
    place: str = field(default="", compare=False)


def read_prompts(path: epath.PathLike) -> tuple[Prompt, ...]:
    """Read a prompt file (`.jsonl`, or text) in UTF-8; raises DataError with the line."""
    file = epath.Path(path)
    if file.suffix == ".jsonl":
        prompts = tuple(_prompt(f"{file}, {place}", row) for place, row in json_lines(file))
    else:
        prompts = tuple(Prompt(line.strip()) for line in read_text(file).splitlines() if line.strip())
    if not prompts:
        raise DataError(f"{file} holds no prompts. Write one a line.")
    return prompts


def _prompt(place: str, row: dict[str, object]) -> Prompt:
    if unknown := row.keys() - {"prompt", "seed", "lora"}:
        raise DataError(f"{place}: {min(unknown)!r} is unknown; the keys are prompt, seed and lora.")
    text, seed = row.get("prompt"), row.get("seed")
    if not isinstance(text, str):
        raise DataError(f"{place}: prompt is {text!r}, but must be a text.")
    if not is_text(text):
        raise DataError(f"{place}: prompt holds half of a surrogate pair, which is no character.")
    return Prompt(text, _seed(place, seed), _scales(place, row.get("lora")), place)


def _seed(place: str, seed: object) -> int | None:
    if seed is None:
        return None
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise DataError(f"{place}: seed is {seed!r}, but must be a whole number from 0 to {MAX_SEED}.")
    return seed


def _scales(place: str, lora: object) -> Mapping[str, float] | None:
    if lora is None:
        return None
    if not isinstance(lora, dict):
        raise DataError(f'{place}: lora is {lora!r}, but must be an object, {{"NAME": SCALE}}.')
    for name, scale in lora.items():
        if not isinstance(scale, int | float) or isinstance(scale, bool) or not abs(scale) <= MAX_SCALE:
            raise DataError(f"{place}: the scale of {name!r} is {scale!r}, but must be a number up to {MAX_SCALE:g}.")
    return {name: float(scale) for name, scale in lora.items()}
