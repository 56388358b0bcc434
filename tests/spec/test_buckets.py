from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.buckets import Buckets, Size, nearest

SQUARE = Size(1024, 1024)

sides = st.integers(1, 4000)


def test_the_sizes_of_a_megapixel_are_of_those_that_sdxl_was_trained_at() -> None:
    """SDXL (arXiv 2307.01952), appendix I: of its sizes, those that no larger one with the same side dominates."""
    upright = [Size(1408, 704), Size(1344, 768), Size(1280, 768), Size(1216, 832), Size(1152, 896), Size(1088, 960)]
    lying = [Size(size.width, size.height) for size in reversed(upright)]
    assert Buckets().sizes(SQUARE) == (*upright, SQUARE, *lying)


@given(
    height=st.integers(2, 20),
    width=st.integers(2, 20),
    step=st.sampled_from([8, 16, 32]),
    ratio=st.floats(1, 4),
)
def test_sizes_are_as_large_as_the_area_allows(height: int, width: int, step: int, ratio: float) -> None:
    central = Size(16 * height, 16 * width)
    sizes = Buckets(step=step, max_ratio=ratio).sizes(central)
    area = central.height * central.width
    assert central in sizes
    assert len(set(sizes)) == len(sizes)
    assert [size.width / size.height for size in sizes] == sorted(size.width / size.height for size in sizes)
    for size in set(sizes) - {central}:
        assert size.height % step == size.width % step == 0
        assert size.height * size.width <= area
        assert max(size) / min(size) <= ratio
        higher, wider = (size.height + step) * size.width, size.height * (size.width + step)
        assert max(higher, wider) > area


@given(image=st.builds(Size, sides, sides))
def test_an_image_goes_where_the_logarithms_of_the_ratios_are_nearest(image: Size) -> None:
    sizes = Buckets().sizes(SQUARE)

    def distance(size: Size) -> float:
        return abs(log(size.width / size.height) - log(image.width / image.height))

    assert distance(nearest(image, sizes)) == pytest.approx(min(map(distance, sizes)), abs=1e-9)


def test_of_two_sizes_as_near_the_larger_is_taken_and_then_the_higher() -> None:
    assert nearest(Size(10, 10), (Size(64, 128), Size(128, 64))) == Size(128, 64)
    assert nearest(Size(10, 10), (Size(64, 128), Size(256, 128))) == Size(256, 128)
    assert nearest(Size(20, 10), (Size(64, 32), Size(128, 64))) == Size(128, 64)
