"""Prompt files: one prompt a line, or JSON lines with `prompt` and, if it is to be fixed, `seed`."""

from dataclasses import dataclass

from etils import epath

from mdctl.data.captions import is_text, json_lines, read_text
from mdctl.spec.errors import DataError

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Prompt:
    """A prompt; without a seed of its own it takes the job's."""

    text: str
    seed: int | None = None


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
    if unknown := row.keys() - {"prompt", "seed"}:
        raise DataError(f"{place}: {min(unknown)!r} is unknown; the keys are prompt and seed.")
    text, seed = row.get("prompt"), row.get("seed")
    if not isinstance(text, str):
        raise DataError(f"{place}: prompt is {text!r}, but must be a text.")
    if not is_text(text):
        raise DataError(f"{place}: prompt holds half of a surrogate pair, which is no character.")
    if seed is None:
        return Prompt(text)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise DataError(f"{place}: seed is {seed!r}, but must be a whole number from 0 to {MAX_SEED}.")
    return Prompt(text, seed)
