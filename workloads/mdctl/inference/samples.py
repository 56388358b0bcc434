"""Samples as files, each of which several may make and one commits.

samples/0003-a-red-fox-5d41402a.mp4    a video, a .png where it has one frame
samples/0003-a-red-fox.json            its record: what it was made from, the file's name and hash

A sample is there when its record and the file that the record names are. Whoever has made one

    1. looks at the record: if it is of this very sample, somebody else was faster
    2. writes the file, under a name that ends in the first digits of its hash, so that it is nobody else's
    3. swaps the record, unless somebody else has by then
    4. removes the file that no record names: its own if it was late, else that of the record it replaced

so no file that a record names is ever written over, and a kill leaves no record, or a record and its file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Float32

from mdctl.data.files import write_whole
from mdctl.data.video import encode_mp4, encode_png, to_bytes
from mdctl.inference.program import Draw
from mdctl.spec.errors import WillFailAgain
from mdctl.spec.job import JobSpec
from mdctl.spec.outputs import SAMPLES
from mdctl.storage.once import Found, look, swap, write_new

Record = Mapping[str, Any]

DIGITS = 8
"""Of a file's hash, in its name."""

WHICH = {"prompts", "prompts_file", "samples_per_prompt", "seed"}
"""What of `sampling` says which samples are made, and not how one looks."""

READERS = 8
"""Records that are read at once."""


@dataclass(frozen=True)
class Wanted:
    """One sample to make, the name of its files without suffix, and how much each LoRA of the spec counts in it."""

    prompt: str
    draw: Draw
    name: str
    scales: tuple[float, ...] = ()


@dataclass(frozen=True)
class Origin:
    """What, beside its prompt and its noise, decides how a sample looks."""

    spec: JobSpec
    step: int | None  # of the checkpoint
    settings: Mapping[str, str | float]  # of sampling, in effect where the spec leaves them open

    def record(self, wanted: Wanted) -> dict[str, Any]:
        """Return what is written beside a sample."""
        spec = self.spec
        sampling = spec.sampling.model_dump(mode="json", exclude=WHICH)
        return {
            "prompt": wanted.prompt,
            "seed": wanted.draw.seed,
            "number": wanted.draw.number,
            "model": spec.model.model_dump(mode="json", exclude={"lora", "lora_merge"}),
            "lora": self.lora(wanted),
            "step": self.step,
            "video": spec.video.model_dump(mode="json"),
            "sampling": {**sampling, **self.settings},
        }

    def lora(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Return the adapters that count in a sample; kept apart or merged, they make the same of it."""
        return [
            {**adapter.model_dump(mode="json"), "name": adapter.called, "scale": scale}
            for adapter, scale in zip(self.spec.model.lora, wanted.scales, strict=True)
            if scale
        ]

    def made(self, record: Record, wanted: Wanted) -> bool:
        """Say whether a record is of this very sample."""
        return {name: value for name, value in record.items() if name not in ("file", "sha256")} == self.record(wanted)


class Encoded(NamedTuple):
    """A sample as the content of a file."""

    content: bytes
    suffix: str

    @property
    def sha256(self) -> str:
        """Return the content's hash."""
        return hashlib.sha256(self.content).hexdigest()


def encode(wanted: Wanted, made_from: Origin, pixels: Float32[np.ndarray, "F H W 3"]) -> Encoded:
    """Return the file of a sample.

    Raises:
        WillFailAgain: the sample holds what is not a number.
    """
    if not np.isfinite(pixels).all():
        raise WillFailAgain(f"the sample of {wanted.prompt!r} is not finite; try float32 activations or other weights")
    frames = to_bytes(pixels)
    if len(frames) > 1:
        return Encoded(encode_mp4(frames, made_from.spec.video.fps), ".mp4")
    return Encoded(encode_png(frames[0]), ".png")


def commit_sample(output: epath.Path, wanted: Wanted, made_from: Origin, encoded: Encoded) -> bool:
    """Put a sample there, unless somebody else has; return whether it is this one that is there."""
    folder = output / SAMPLES
    path = folder / record_name(wanted)
    found = look(path)
    before = parsed(found)
    if made_from.made(before, wanted) and (folder / before["file"]).exists():
        return False
    file = f"{wanted.name}-{encoded.sha256[:DIGITS]}{encoded.suffix}"
    write_new(folder / file, encoded.content)
    record = {**made_from.record(wanted), "file": file, "sha256": encoded.sha256}
    won = swap(path, found, json.dumps(record, indent=1).encode())
    kept, other = (file, before.get("file")) if won else (parsed(look(path)).get("file"), file)
    if other is not None and other != kept:
        (folder / other).unlink(missing_ok=True)
    return won


def write_sample(output: epath.Path, wanted: Wanted, made_from: Origin, encoded: Encoded) -> None:
    """Write a sample whatever is there, its record last; nobody else may be writing it."""
    file = f"{wanted.name}{encoded.suffix}"
    write_whole(output / SAMPLES / file, encoded.content)
    record = {**made_from.record(wanted), "file": file, "sha256": encoded.sha256}
    write_whole(output / SAMPLES / record_name(wanted), json.dumps(record, indent=1).encode())


def read_records(output: epath.Path, wanted: Sequence[Wanted]) -> list[Record]:
    """Return the record of each sample that is there, of whatever it was made; an empty one where there is none."""
    folder = output / SAMPLES
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(partial(_read, folder, names), wanted))


def _read(folder: epath.Path, names: set[str], wanted: Wanted) -> Record:
    name = record_name(wanted)
    record = parsed(look(folder / name)) if name in names else {}
    return record if record.get("file") in names else {}


def record_name(wanted: Wanted) -> str:
    """Return the name of a sample's record."""
    return f"{wanted.name}.json"


def parsed(found: Found) -> Record:
    """Return the record that a file holds; an empty one if it is none, or holds none."""
    try:
        record = json.loads(found.content or b"")
    except ValueError:
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("file"), str) else {}
