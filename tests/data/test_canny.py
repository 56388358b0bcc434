import subprocess
import sys

import numpy as np
import pytest

from mdctl.data.canny import canny
from mdctl.spec.errors import DataError


def steps(*heights: int, size: int = 8) -> np.ndarray:
    """Return a picture whose right half is brighter, by each of these levels for `size` rows."""
    image = np.full((size * len(heights), 16, 3), 20, np.uint8)
    for index, height in enumerate(heights):
        image[size * index : size * (index + 1), 8:] += np.uint8(height)
    return image


def test_a_step_is_one_line_where_it_stands() -> None:
    edges = canny(steps(100))
    assert (edges.shape, edges.dtype) == ((8, 16), np.dtype(np.uint8))
    assert [*np.unique(edges)] == [0, 255]
    (columns,) = np.nonzero(edges.any(axis=0))
    assert len(columns) == 1
    assert columns[0] in (7, 8)
    assert edges[:, columns[0]].all()


def test_a_picture_of_one_colour_has_none() -> None:
    assert not canny(np.full((8, 8, 3), 200, np.uint8)).any()


@pytest.mark.parametrize(("height", "found"), [(50, False), (51, True)])
def test_an_edge_begins_above_the_high_threshold(height: int, found: bool) -> None:
    assert canny(steps(height)).any() == found


@pytest.mark.parametrize(("height", "found"), [(25, False), (26, True)])
def test_and_goes_on_above_the_low_one(height: int, found: bool) -> None:
    rows = canny(steps(100, height, size=12)).any(axis=1)
    assert rows[:12].all()
    assert rows[16:].any() == found


def test_thresholds_are_given() -> None:
    assert canny(steps(30), low=50, high=100).any()
    assert not canny(steps(100), low=400, high=400).any()


def test_an_edge_of_one_channel_is_an_edge() -> None:
    for channel in range(3):
        image = np.zeros((8, 16, 3), np.uint8)
        image[:, 8:, channel] = 60
        assert canny(image).any()


def test_a_view_is_as_good_as_a_picture() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(canny(image[::-1, ::-1]), canny(image[::-1, ::-1].copy()))


@pytest.mark.parametrize(("low", "high"), [(200, 100), (-1, 100)])
def test_thresholds_out_of_order_are_refused(low: int, high: int) -> None:
    with pytest.raises(DataError, match=f"low threshold {low} and the high one {high}"):
        canny(steps(100), low, high)


def test_it_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DataError, match=r"opencv-python-headless, .* Install mdctl\[workloads\]"):
        canny(steps(100))


def test_only_finding_edges_loads_opencv() -> None:
    program = "import sys, mdctl.data.canny; sys.exit('cv2' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
