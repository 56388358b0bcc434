import numpy as np
import pytest
from PIL import ImageFont

from mdctl.inference.contact_sheet import (
    LABEL_HEIGHT,
    MARGIN,
    TILE_HEIGHT,
    Row,
    contact_sheet,
    shortened,
    shown_frames,
)


def video(*greys: int, height: int = 16, width: int = 32) -> np.ndarray:
    return np.array(greys, np.uint8)[:, None, None, None] * np.ones((1, height, width, 3), np.uint8)


@pytest.mark.parametrize(("num_frames", "shown"), [(1, [0]), (4, [0, 1, 2, 3]), (17, [0, 3, 6, 10, 13, 16])])
def test_frames_are_spread_from_first_to_last(num_frames: int, shown: list[int]) -> None:
    assert shown_frames(num_frames) == shown


def test_every_video_has_its_strip_in_order() -> None:
    sheet = contact_sheet([Row("one", [video(10, 20), video(30, 40)]), Row("two", [video(50, 60), video(70, 80)])])
    tile = 2 * TILE_HEIGHT
    across, down = 2 * tile + MARGIN, LABEL_HEIGHT + TILE_HEIGHT + MARGIN
    assert sheet.shape == (MARGIN + 2 * down, MARGIN + 2 * across, 3)
    middles = [MARGIN + start + tile // 2 for start in (0, tile, across, across + tile)]
    for row, greys in enumerate([[10, 20, 30, 40], [50, 60, 70, 80]]):
        assert sheet[MARGIN + row * down + LABEL_HEIGHT + TILE_HEIGHT // 2, middles, 0].tolist() == greys


def test_a_label_is_written_above_its_strips() -> None:
    blank, written = (contact_sheet([Row(label, [video(0)])])[:LABEL_HEIGHT] for label in ("", "a rabbit"))
    assert (blank == 255).all()
    assert (written < 128).any()


def test_a_long_label_is_cut_to_the_sheet() -> None:
    font = ImageFont.load_default(14)
    cut = shortened("a rabbit " * 50, font, 200)
    assert cut.startswith("a rabbit")
    assert cut.endswith("...")
    assert 150 < font.getlength(cut) <= 200
    assert shortened("a rabbit", font, 200) == "a rabbit"
