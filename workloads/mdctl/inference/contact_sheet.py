"""Videos on one picture: a row of frames for each, under its label.

Letters: T frames, H height, W width.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

Video = UInt8[np.ndarray, "T H W 3"]

NUM_COLUMNS = 6
TILE_HEIGHT = 128
LABEL_HEIGHT, FONT_SIZE = 22, 14
MARGIN = 4
BACKGROUND, INK = "white", "black"


class Row(NamedTuple):
    """A label, and one or more videos to show under it, side by side."""

    label: str
    videos: Sequence[Video]


def contact_sheet(rows: Sequence[Row]) -> UInt8[np.ndarray, "H W 3"]:
    """Show videos of one shape, in at most `NUM_COLUMNS` frames each, evenly spaced from the first to the last.

    Every row has as many videos.
    """
    strips = [[_strip(video) for video in row.videos] for row in rows]
    across, down = strips[0][0].width + MARGIN, LABEL_HEIGHT + TILE_HEIGHT + MARGIN
    sheet = Image.new("RGB", (MARGIN + across * len(strips[0]), MARGIN + down * len(rows)), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for top, row, each in zip(range(MARGIN, sheet.height, down), rows, strips, strict=True):
        draw.text((MARGIN, top), shortened(row.label, font, sheet.width - 2 * MARGIN), INK, font)
        for left, strip in zip(range(MARGIN, sheet.width, across), each, strict=True):
            sheet.paste(strip, (left, top + LABEL_HEIGHT))
    return np.asarray(sheet)


def shown_frames(num_frames: int) -> list[int]:
    """Return the numbers of the frames that are shown."""
    return [int(number) for number in np.linspace(0, num_frames - 1, min(NUM_COLUMNS, num_frames)).round()]


def shortened(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Cut a label to at most `width` pixels."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(f"{label}...") > width:
        label = label[:-1]
    return f"{label}..."


def _strip(video: Video) -> Image.Image:
    frames = np.concatenate([video[number] for number in shown_frames(len(video))], axis=1)
    width = round(frames.shape[1] * TILE_HEIGHT / frames.shape[0])
    return Image.fromarray(frames).resize((width, TILE_HEIGHT), Image.Resampling.LANCZOS)
