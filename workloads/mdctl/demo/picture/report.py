"""Hold what `mdctl generate` made of the captions against the pictures, and say honestly what the model recalls."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from etils import epath

from mdctl.data.captions import Listed, listed_clips
from mdctl.data.files import write_whole
from mdctl.data.video import Decoding, decode, encode_png, to_bytes, to_model
from mdctl.demo.measure import Videos
from mdctl.demo.picture.measure import ENOUGH, Findings, Recall, recall
from mdctl.demo.picture.prepare import HELD_OUT_FOLDER, PICTURES, SHAPE
from mdctl.demo.picture.sheet import sheet
from mdctl.demo.samples import sample_files
from mdctl.inference.contact_sheet import Row
from mdctl.models.codec import load_codec

HONESTLY = """\
Each name has one picture, and the model was trained on it: this measures recall of what was seen, not generalisation.
Only the combinations that were held out were never seen, though every word and every shape of them was."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Outputs of `mdctl generate`: of all captions, of the same without training, and of those that were held out."""

    samples: Path
    untrained: Path | None = None
    held_out: Path | None = None


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder and their captions."""

    listed: list[Listed]
    pixels: Videos

    @property
    def captions(self) -> list[str]:
        """Return the captions."""
        return [each.caption for each in self.listed]

    @classmethod
    def read(cls, folder: Path) -> "Pictures":
        """Read a folder; raises DataError."""
        listed = listed_clips(epath.Path(folder))
        return cls(listed, _stack([folder / each.name for each in listed]))


@dataclass(frozen=True)
class Samples:
    """The samples of a run, and the number of the caption that each was made of."""

    pixels: Videos
    asked: list[int]

    @classmethod
    def read(cls, run: Path, captions: Sequence[str]) -> "Samples":
        """Read all samples of these captions; raises DataError if one has none."""
        found = list(sample_files(run, captions).values())
        asked = [number for number, files in enumerate(found) for _ in files]
        return cls(_stack([file for files in found for file in files]), asked)

    def of(self, number: int) -> list[np.ndarray]:
        """Return those of a caption, as bytes."""
        return [to_bytes(each) for each, asked in zip(self.pixels, self.asked, strict=True) if asked == number]


def report(model: Path, runs: Runs, to_sheet: Path) -> Findings:
    """Measure samples against the pictures that lie beside `model`, and show both on a sheet.

    Raises DataError if a caption has no sample.
    """
    pictures = Pictures.read(model.parent / PICTURES)
    samples = Samples.read(runs.samples, pictures.captions)
    rows = [
        Row(caption, [to_bytes(pictures.pixels[n]), samples.of(n)[0]]) for n, caption in enumerate(pictures.captions)
    ]
    unseen, held_out_rows = None, []
    if runs.held_out is not None:
        held_out = Pictures.read(model.parent / HELD_OUT_FOLDER)
        made = Samples.read(runs.held_out, held_out.captions)
        everything = np.concatenate([pictures.pixels, held_out.pixels])
        unseen = recall(made.pixels, [len(pictures.listed) + number for number in made.asked], everything)
        fewest = min(Counter(made.asked).values())
        held_out_rows = [
            Row(f"{caption} (held out)", [to_bytes(held_out.pixels[n]), *made.of(n)[:fewest]])
            for n, caption in enumerate(held_out.captions)
        ]
    write_whole(to_sheet, encode_png(sheet(rows, held_out_rows)))
    return Findings(
        samples=recall(samples.pixels, samples.asked, pictures.pixels),
        codec=recall(through_codec(model, pictures.pixels), range(len(pictures.listed)), pictures.pixels),
        untrained=None if runs.untrained is None else _untrained(runs.untrained, pictures),
        held_out=unseen,
    )


def _untrained(run: Path, pictures: Pictures) -> Recall:
    samples = Samples.read(run, pictures.captions)
    return recall(samples.pixels, samples.asked, pictures.pixels)


def through_codec(model: Path, pictures: Videos) -> Videos:
    """Return what the codec of a repository makes of pictures."""
    codec = load_codec(model)
    return np.asarray(codec.decode(codec.encode(jnp.asarray(pictures))))


def figures(model: Path, found: Findings) -> dict[str, Any]:
    """Return the findings as JSON has them."""
    count = found.samples.num_pictures
    shuffled = {f"top{k}": found.samples.shuffled_top(k) for k in (1, 5)}
    said = {
        "pictures": count,
        "samples": _figures(found.samples),
        "shuffled": {**shuffled, "distance": found.samples.shuffled_own},
        "untrained": None if found.untrained is None else _figures(found.untrained),
        "chance": {"top1": 1 / count, "top5": min(1.0, 5 / count), "distance": None},
        "codec": _figures(found.codec),
        "heldOut": None,
        "enough": ENOUGH,
        "passed": found.passed,
    }
    if found.held_out is not None:
        said["heldOut"] = _held_out(model, found.held_out)
    return said


def _figures(found: Recall) -> dict[str, float]:
    return {"top1": found.top(1), "top5": found.top(5), "distance": found.own}


def _held_out(model: Path, found: Recall) -> list[dict[str, Any]]:
    """Return for each caption that was held out how many of its samples are nearest to which picture."""
    listed = [
        each for folder in (PICTURES, HELD_OUT_FOLDER) for each in listed_clips(epath.Path(model.parent / folder))
    ]
    said = []
    for number in np.unique(found.asked):
        nearest = Counter(listed[each].caption for each in found.nearest[found.asked == number])
        caption = listed[number].caption
        counts = {"samples": nearest.total(), "right": nearest[caption], "nearest": dict(nearest.most_common())}
        said.append({"caption": caption, **counts})
    return said


def table(said: dict[str, Any]) -> str:
    """Return the figures as text."""
    rows = {
        "samples": said["samples"],
        "the same, prompts shuffled": said["shuffled"],
        "an untrained model": said["untrained"],
        "chance": said["chance"],
        "the codec alone: no sample can be expected to do better": said["codec"],
    }
    lines = [f"nearest of {said['pictures']} pictures to what was asked for", "  first  in five  distance"]
    for name, row in rows.items():
        if row is not None:
            far = "" if row["distance"] is None else f"{row['distance']:.3f}"
            lines.append(f"{row['top1']:7.1%}  {row['top5']:7.1%}  {far:>8}  {name}")
    lines.append(f"at least {said['enough']:.0%} wanted; distances are root mean square, black to white is 2")
    if said["heldOut"] is not None:
        total = said["pictures"] + len(said["heldOut"])
        lines += ["", f"combinations that were never trained on, nearest of {total} pictures"]
    for row in said["heldOut"] or ():
        others = ", ".join(f"{name} {count}" for name, count in row["nearest"].items() if name != row["caption"])
        lines.append(f"  {row['right']} of {row['samples']}  {row['caption']}" + (f"; else {others}" if others else ""))
    return "\n".join([*lines, "", HONESTLY])


def _stack(files: Sequence[Path]) -> Videos:
    return np.stack([to_model(decode(file.name, file.read_bytes(), Decoding(SHAPE))) for file in files])
