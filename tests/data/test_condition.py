"""What a ControlNet is told of pictures that are mirrored, cut and put in buckets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdctl.data.cache import Cache, unpack
from mdctl.data.canny import canny
from mdctl.data.condition import as_numbers, edges
from mdctl.data.folder import CONDITION, LATENTS, Encoders, FolderSource, folder_dataset
from mdctl.data.index import clip_sizes, index_folder
from mdctl.data.treatment import Treatment
from mdctl.data.video import Decoding, decode
from tests.data.pictures import DECODING, SHAPES, SIZES, write_pictures

NAME = "control_0"
ENCODERS = Encoders(
    pixels=lambda pixels: {LATENTS: pixels[:, :, ::8, ::8]},
    text=lambda captions: {"text": np.ones((1, 2, 3), np.float32)},
    pixels_fingerprint="pixels",
    text_fingerprint="text",
)
TREATMENTS = {
    "kept": Treatment(),
    "mirrored in buckets": Treatment(sizes=SIZES, mirrors=True),
    "not kept": Treatment(is_kept=False),
    "cut anew": Treatment(sizes=SIZES, mirrors=True, crops=True, is_kept=False),
}

Open = Callable[[Treatment], FolderSource]


@pytest.fixture
def source(tmp_path: Path) -> Open:
    folder, cache = write_pictures(tmp_path / "pictures"), Cache(str(tmp_path / "cache"))
    index = index_folder(str(folder), DECODING, cache)

    def opened(treatment: Treatment) -> FolderSource:
        return FolderSource(
            index=index,
            decoding=DECODING,
            encoders=ENCODERS,
            cache=cache,
            treatment=treatment,
            condition=edges(NAME, 100, 200),
            sizes=clip_sizes(index, cache),
        )

    return opened


def found(source: FolderSource, clip_name: str, view: Decoding, low: int = 100) -> np.ndarray:
    """Return the edges of a picture as it is decoded."""
    (pixels,) = decode(clip_name, (Path(source.index.folder) / clip_name).read_bytes(), view)
    return np.repeat(canny(pixels, low, 200)[..., None], 3, axis=-1).astype(np.float32) / 255


@pytest.mark.parametrize("name", TREATMENTS)
def test_edges_are_those_of_the_pixels_that_are_trained_on(source: Open, name: str) -> None:
    opened = source(TREATMENTS[name])
    data = folder_dataset(opened, seed=3, num_held_out=1)
    training, (held_out,) = opened.index.split(1)
    seen = set()
    for row in range(2 * len(training)):
        clip = training[row % len(training)]
        view = opened.treatment.in_row(opened.trained(clip), 3, row)
        seen.add((view.mirrored, view.corner is None))
        shown = data.load(row % len(training), row)["conditioning"][NAME]
        assert shown.shape == (*view.size, 3)
        np.testing.assert_array_equal(shown, found(opened, clip.name, view))
    assert len(seen) == (2 if "mirror" in name or "cut" in name else 1)
    kept = data.held_out_batch([0])["conditioning"][NAME][0]
    np.testing.assert_array_equal(kept, found(opened, held_out.name, DECODING))
    assert NAME not in data.dropped


def test_edges_are_kept_as_bytes_and_other_thresholds_find_others(source: Open) -> None:
    opened = source(Treatment())
    folder_dataset(opened, seed=3)
    lower = replace(opened, condition=edges(NAME, 20, 200))
    folder_dataset(lower, seed=3)
    clip = opened.index.clips[0]
    entries = [path.read_bytes()[32:] for path in Path(opened.cache.folder).glob("*/*")]
    kept = [unpack(entry)[CONDITION] for entry in entries if CONDITION.encode() in entry]
    assert {each.dtype for each in kept} == {np.dtype("uint8")}
    assert len(kept) == 2 * len(SHAPES)
    for each, low in ((opened, 100), (lower, 20)):
        expected = found(opened, clip.name, DECODING, low)
        np.testing.assert_array_equal(each.example(clip, 3, 0)["conditioning"][NAME], expected)
    assert any((as_numbers(each) == found(opened, clip.name, DECODING, 20)).all() for each in kept)
