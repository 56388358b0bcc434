import io
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mdctl.data.framing import Framing, Offset, framed, neutral, surplus
from mdctl.data.video import Decoding, decode, encode_png, fit, measure
from mdctl.spec.buckets import Size
from mdctl.spec.shapes import PixelShape

sizes = st.builds(Size, st.integers(1, 3000), st.integers(1, 3000))


@given(original=sizes, target=sizes)
def test_a_scaled_picture_covers_the_target_and_fits_it_one_way(original: Size, target: Size) -> None:
    more = surplus(original, target)
    assert min(more) == 0
    height, width = (wanted + too_much for wanted, too_much in zip(target, more, strict=True))
    assert Fraction(original.height, original.width) == Fraction(height) / width


@pytest.mark.parametrize(
    ("original", "crop"),
    [
        (Size(512, 512), Offset(0, 0)),
        (Size(1024, 1536), Offset(0, 128)),
        (Size(1536, 1024), Offset(128, 0)),
        (Size(100, 103), Offset(0, 8)),
    ],
)
def test_a_centred_crop_is_half_of_what_is_too_much(original: Size, crop: Offset) -> None:
    assert framed(original, Size(512, 512)) == Framing(original, crop, Size(512, 512))


def test_a_drawn_crop_is_each_whole_offset_as_often() -> None:
    corners = [(n / 400, n / 400) for n in range(400)]
    lefts = Counter(framed(Size(8, 11), Size(8, 8), corner).crop for corner in corners)
    assert lefts == {Offset(0, left): 100 for left in range(4)}
    almost = float(np.nextafter(1, 0))
    assert framed(Size(999, 64), Size(64, 64), (almost, almost)).crop == Offset(935, 0)


def test_a_picture_of_the_wanted_size_is_framed_as_if_nothing_were_done() -> None:
    assert neutral(Size(64, 96)) == framed(Size(64, 96), Size(64, 96)) == framed(Size(64, 96), Size(64, 96), (0.9, 0.9))


NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.3, 0.6), (0.99, 0.99)])
def test_a_picture_is_cut_where_its_framing_says(corner: tuple[float, float]) -> None:
    shape = PixelShape(1, 40, 40)
    top, left = framed(Size(40, 56), Size(40, 40), corner).crop
    content = encode_png(NOISE)
    for mirrored, picture in ((False, NOISE), (True, NOISE[:, ::-1])):
        pixels = decode("a.png", content, Decoding(shape, mirrored=mirrored, corner=corner))
        np.testing.assert_array_equal(pixels[0], picture[top : top + 40, left : left + 40])


@pytest.mark.parametrize("side", [58, 116, 225])
def test_a_side_that_rounding_makes_too_long_is_no_fault(side: int) -> None:
    assert 448 * (side / 448) > side
    assert fit(Image.new("RGB", (side, side)), 448, 448).shape == (448, 448, 3)


def test_the_size_of_an_image_is_that_of_its_upright_form() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.fromarray(NOISE).save(buffer, format="jpeg", exif=exif)
    assert measure("a.jpg", buffer.getvalue()) == Size(56, 40)
    assert measure("a.png", encode_png(NOISE)) == Size(40, 56)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:, 2:, 3] = 255
    image = Image.fromarray(rgba).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format="png")
    pixels = decode("a.png", buffer.getvalue(), Decoding(PixelShape(1, 4, 4)))
    assert (pixels[0, :, :2] == 255).all()
    assert (pixels[0, :, 2:] == 0).all()


def test_what_is_half_transparent_is_half_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (200, 0, 100, 51)).save(buffer, format="webp", lossless=True, exact=True)
    pixels = decode("a.webp", buffer.getvalue(), Decoding(PixelShape(1, 4, 4)))
    assert pixels[0, 0, 0].tolist() == [244, 204, 224]
