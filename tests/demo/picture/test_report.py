import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mdctl.data.video import encode_png
from mdctl.demo.__main__ import main
from mdctl.demo.picture.emoji import HELD_OUT, TRAINED, Emoji
from mdctl.demo.picture.report import Runs, report
from mdctl.spec.errors import DataError


def write_samples(run: Path, samples: list[tuple[str, bytes]]) -> Path:
    """Write samples as the worker does."""
    (run / "samples").mkdir(parents=True)
    for number, (prompt, content) in enumerate(samples):
        (run / "samples" / f"{number:04d}.png").write_bytes(content)
        record = {"prompt": prompt, "file": f"{number:04d}.png"}
        (run / "samples" / f"{number:04d}.json").write_text(json.dumps(record))
    return run


def shown(picture: Path, emoji: Emoji) -> bytes:
    folder = "held_out" if emoji in HELD_OUT else "pictures"
    return (picture / folder / f"{emoji.name}.png").read_bytes()


def run_report(
    monkeypatch: pytest.MonkeyPatch, picture: Path, run: Path, *options: str | Path, sheet: Path | None = None
) -> int:
    words = ["demo", "picture", "report", "--model", picture / "model", "--samples", run, *options]
    monkeypatch.setattr(sys, "argv", [str(word) for word in [*words, "--sheet", sheet or run / "sheet.png"]])
    return main()


@pytest.fixture
def right(picture: Path, tmp_path: Path) -> Path:
    """The pictures themselves as samples."""
    return write_samples(tmp_path / "right", [(emoji.caption, shown(picture, emoji)) for emoji in TRAINED])


def test_samples_are_reported_beside_what_knows_nothing(
    picture: Path, right: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = encode_png(np.full((64, 64, 3), 128, np.uint8))
    untrained = write_samples(tmp_path / "untrained", [(emoji.caption, grey) for emoji in TRAINED])
    seen = [(HELD_OUT[n].caption, shown(picture, HELD_OUT[n if k else 0])) for n in range(3) for k in range(2)]
    held_out = write_samples(tmp_path / "held_out", seen)
    sheet = tmp_path / "picture.png"
    options = ("--untrained", untrained, "--held-out", held_out)
    assert run_report(monkeypatch, picture, right, *options, sheet=sheet) == 0
    said = capsys.readouterr().out
    assert " 100.0%   100.0%     0.000  samples\n" in said
    assert "   0.0%     2.1% " in said
    assert "   0.5%     2.6%            chance\n" in said
    assert "   0.5%     2.6%     " in said.partition("prompts shuffled")[2].partition("an untrained model")[0]
    assert " 100.0%   100.0%     0.000  the codec alone" in said
    captions = [emoji.caption for emoji in HELD_OUT]
    assert f"  2 of 2  {captions[0]}\n" in said
    for caption in captions[1:]:
        assert f"  1 of 2  {caption}; else {captions[0]} 1\n" in said
    assert "this measures recall of what was seen, not generalisation" in said
    with Image.open(sheet) as image:
        assert image.size[0] > 12 * 128


def test_too_few_that_are_right_exit_with_one(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = [(emoji.caption, shown(picture, other)) for emoji, other in zip(TRAINED[40:], TRAINED, strict=False)]
    kept = [(emoji.caption, shown(picture, emoji)) for emoji in TRAINED[:40]]
    run = write_samples(tmp_path / "run", [*kept, *swapped])
    assert run_report(monkeypatch, picture, run, "-o", "json") == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["pictures"] == 192
    assert said["samples"]["top1"] == pytest.approx(40 / 192)
    assert said["chance"]["top5"] == pytest.approx(5 / 192)
    assert said["codec"]["top1"] == 1
    assert (said["untrained"], said["heldOut"], said["passed"]) == (None, None, False)


def test_every_sample_of_a_caption_counts(picture: Path, right: Path, tmp_path: Path) -> None:
    grey = encode_png(np.full((64, 64, 3), 128, np.uint8))
    both = [(emoji.caption, content) for emoji in TRAINED for content in (shown(picture, emoji), grey)]
    run = write_samples(tmp_path / "both", both)
    found = report(picture / "model", Runs(samples=run), tmp_path / "sheet.png")
    assert found.samples.distances.shape == (384, 192)
    assert 0.5 <= found.samples.top(1) < 0.51


def test_a_caption_without_a_sample_is_named(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_samples(tmp_path / "run", [(TRAINED[0].caption, shown(picture, TRAINED[0]))])
    with pytest.raises(DataError, match=f"has no sample of '{TRAINED[1].caption}'"):
        report(picture / "model", Runs(samples=run), tmp_path / "sheet.png")
    assert run_report(monkeypatch, picture, run) == 2
    assert "has no sample of" in capsys.readouterr().err
