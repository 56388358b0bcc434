"""Small clips to read: a square that moves over a grey ground."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mdctl.data.video import Pixels, encode_mp4
from tests.buckets import bucket, buckets, emulator, refusing

__all__ = ["bucket", "buckets", "emulator", "refusing"]

MakePixels = Callable[..., Pixels]
WriteClip = Callable[..., Path]


@pytest.fixture(scope="session")
def make_pixels() -> MakePixels:
    def make(num_frames: int = 5, height: int = 32, width: int = 32, ground: int = 90) -> Pixels:
        pixels = np.full((num_frames, height, width, 3), ground, np.uint8)
        for frame in range(num_frames):
            pixels[frame, 8:16, 2 * frame : 2 * frame + 8] = 210
        return pixels

    return make


@pytest.fixture
def write_clip(make_pixels: MakePixels) -> WriteClip:
    def write(path: Path, caption: str | None = "a square", fps: int = 16, **shape: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_mp4(make_pixels(**shape), fps))
        if caption is not None:
            path.with_suffix(".txt").write_text(caption, encoding="utf-8")
        return path

    return write
