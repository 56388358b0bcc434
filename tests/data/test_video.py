import io
import os
import struct
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from mdctl.data.video import (
    Decoding,
    UnreadableClip,
    at_rate,
    decode,
    encode_mp4,
    encode_png,
    fit,
    to_bytes,
    to_model,
)
from mdctl.spec.shapes import PixelShape
from tests.data.conftest import MakePixels

CODEC_NOISE = 3
"""Levels of 255 by which near-lossless h264 may move a grey pixel."""


def decoding(num_frames: int = 5, height: int = 32, width: int = 32, fps: int | None = None) -> Decoding:
    return Decoding(PixelShape(num_frames, height, width), fps)


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_clip_comes_back_from_its_file(make_pixels: MakePixels) -> None:
    pixels = make_pixels()
    content = encode_mp4(pixels, 16)
    assert difference(decode("a.mp4", content, decoding()), pixels) <= CODEC_NOISE
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.frames, str(stream.average_rate)) == (5, "16/1")


ENCODE = """
import hashlib
import numpy as np
from mdctl.data.video import encode_mp4
times, rows, columns = np.mgrid[:17, :64, :64]
waves = 128 + 60 * np.sin(columns / 15 + times / 4) + 60 * np.cos(rows / 9)
noisy = waves + np.random.default_rng(0).normal(0, 6, waves.shape)
pixels = np.repeat(noisy.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)
print(hashlib.sha256(encode_mp4(pixels, 16)).hexdigest())
"""


def test_memory_does_not_show_in_a_file() -> None:
    # glibc fills what it hands out with these bytes, so that reading before writing shows.
    files = {
        subprocess.run(
            [sys.executable, "-c", ENCODE],
            env={**os.environ, "MALLOC_PERTURB_": perturbation},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for perturbation in ("1", "85", "255")
    }
    assert len(files) == 1


def test_a_longer_clip_is_read_from_its_start(make_pixels: MakePixels) -> None:
    pixels = make_pixels(num_frames=8)
    assert difference(decode("a.MP4", encode_mp4(pixels, 16), decoding(5)), pixels[:5]) <= CODEC_NOISE


def test_a_rotated_clip_stands_upright(make_pixels: MakePixels) -> None:
    pixels = make_pixels(height=32, width=48)
    content = encode_mp4(pixels, 16)
    one = 0x10000
    upright, clockwise = (
        struct.pack(">9i", *matrix, 0x40000000)
        for matrix in ((one, 0, 0, 0, one, 0, 0, 0), (0, one, 0, -one, 0, 0, 0, 0))
    )
    start = content.index(upright, content.index(b"tkhd"))
    rotated = content[:start] + clockwise + content[start + len(clockwise) :]
    read = decode("a.mp4", rotated, decoding(height=48, width=32))
    assert difference(read, np.rot90(pixels, -1, axes=(1, 2))) <= CODEC_NOISE


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_image_is_a_video_of_one_frame(make_pixels: MakePixels, suffix: str) -> None:
    pixels, buffer = make_pixels(num_frames=1), io.BytesIO()
    Image.fromarray(pixels[0]).save(buffer, format=suffix[1:], lossless=True)
    np.testing.assert_array_equal(decode(f"a{suffix}", buffer.getvalue(), decoding(1)), pixels)


def test_an_image_with_alpha_or_palette_becomes_rgb(make_pixels: MakePixels) -> None:
    (frame,) = make_pixels(num_frames=1)
    image = Image.fromarray(frame)
    for other in (image.convert("RGBA"), image.convert("L"), image.quantize(2)):
        buffer = io.BytesIO()
        other.save(buffer, format="png")
        np.testing.assert_array_equal(decode("a.png", buffer.getvalue(), decoding(1))[0], frame)


def test_proportions_are_cut_around_the_centre() -> None:
    frame = np.zeros((20, 40, 3), np.uint8)
    frame[:, 10:30] = 200
    assert (fit(Image.fromarray(frame), 10, 10) == 200).all()
    assert (fit(Image.fromarray(frame.transpose(1, 0, 2)), 10, 10) == 200).all()


def test_shrinking_averages_areas() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    means = frame.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    assert np.abs(fit(Image.fromarray(frame), 8, 8) - means).max() <= 1


def times(num_frames: int, fps: float) -> list[tuple[Fraction, int]]:
    return [(Fraction(i) / Fraction(fps), i) for i in range(num_frames)]


def test_the_same_rate_takes_every_frame() -> None:
    assert list(at_rate(times(9, 16), 16)) == list(range(9))


def test_rounded_time_stamps_do_not_repeat_frames() -> None:
    rounded = [(Fraction(round(1000 * i / 30), 1000), i) for i in range(90)]
    assert list(at_rate(rounded, 30)) == list(range(90))


def test_another_rate_takes_the_nearest_frames() -> None:
    assert list(at_rate(times(9, 32), 16)) == [0, 2, 4, 6, 8]
    assert list(at_rate(times(3, 8), 16)) == [0, 0, 1, 1, 2, 2]
    taken = list(at_rate(times(250, 25), 16))
    assert all(abs(Fraction(i, 25) - Fraction(k, 16)) <= Fraction(1, 50) for k, i in enumerate(taken))
    assert len(taken) in (160, 161)


def test_times_count_from_the_first_frame_and_uneven_ones_are_honoured() -> None:
    held = [(Fraction(7), "a"), (Fraction(15, 2), "b"), (Fraction(10), "c")]
    assert list(at_rate(held, 1)) == ["a", "b", "c", "c", "c"]
    assert list(at_rate([(Fraction(3), "a")], 2)) == ["a"]
    assert list(at_rate([], 2)) == []


def test_a_clip_is_resampled_to_the_rate_wanted(make_pixels: MakePixels) -> None:
    pixels = make_pixels(num_frames=10)
    read = decode("a.mp4", encode_mp4(pixels, 32), decoding(5, fps=16))
    assert difference(read, pixels[::2]) <= CODEC_NOISE


def test_bytes_survive_the_range_of_models() -> None:
    pixels = np.arange(256, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    scaled = to_model(pixels)
    assert (scaled.min(), scaled.max()) == (-1, 1)
    np.testing.assert_array_equal(to_bytes(scaled), pixels)
    assert to_bytes(scaled * np.float32(5)).min() == 0


def damaged(content: bytes) -> bytes:
    """Overwrite the second quarter of the coded frames."""
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    quarter = (end - start) // 4
    noise = np.random.default_rng(0).bytes(quarter)
    return content[: start + quarter] + noise + content[start + 2 * quarter :]


@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_a_file_of_another_kind_is_refused(name: str) -> None:
    for content in (b"", b"GIF89a but no", b"\0" * 5000):
        with pytest.raises(UnreadableClip, match="damaged, or no"):
            decode(name, content, decoding())


def test_a_damaged_clip_is_refused(make_pixels: MakePixels) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    with pytest.raises(UnreadableClip, match="damaged"):
        decode("a.mp4", damaged(encode_mp4(noise, 16)), decoding())
    whole = encode_mp4(make_pixels(), 16)
    for length in range(0, whole.index(b"moov"), 97):
        with pytest.raises(UnreadableClip):
            decode("a.mp4", whole[:length], decoding())


def test_a_truncated_image_is_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    whole = encode_png(noise)
    for length in range(0, len(whole) - 40, 97):
        with pytest.raises(UnreadableClip):
            decode("a.png", whole[:length], decoding(1))


def test_a_short_clip_is_refused_with_both_lengths(make_pixels: MakePixels) -> None:
    content = encode_mp4(make_pixels(), 32)
    with pytest.raises(UnreadableClip, match=r"too short: 5 of 9 frames$"):
        decode("a.mp4", content, decoding(9))
    with pytest.raises(UnreadableClip, match="too short: 3 of 5 frames at 16 frames a second"):
        decode("a.mp4", content, decoding(5, fps=16))


def test_sound_alone_is_no_video() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableClip, match="no video stream"):
        decode("a.mp4", buffer.getvalue(), decoding())
