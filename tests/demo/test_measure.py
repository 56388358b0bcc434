from dataclasses import replace

import numpy as np
import pytest

from mdctl.demo.measure import Findings, distance, measure


def videos(*greys: float) -> np.ndarray:
    return np.array(greys, np.float32)[:, None, None, None, None] * np.ones((1, 5, 4, 4, 3), np.float32)


def test_black_and_white_are_two_apart() -> None:
    assert distance(*videos(-1, 1)) == 2
    half = videos(1)[0].copy()
    half[..., :2, :] = -1
    assert distance(half, videos(1)[0]) == pytest.approx(np.sqrt(2))


CLIPS = videos(-0.5, 0, 0.5)


def test_findings_are_means_over_captions() -> None:
    found = measure(
        samples=videos(-0.4, 0.1, 0.1), clips=CLIPS, untrained=videos(1, 1, 1), decoded=videos(-0.5, 0, 0.2)
    )
    np.testing.assert_allclose(found.distances, [[0.1, 0.4, 0.9], [0.6, 0.1, 0.4], [0.6, 0.1, 0.4]], rtol=1e-5)
    assert found.nearest == [0, 1, 1]
    assert found.num_own == 2
    assert found.own == pytest.approx(0.2)
    assert found.shuffled == pytest.approx((0.4 + 0.9 + 0.6 + 0.4 + 0.6 + 0.1) / 6)
    assert found.untrained == pytest.approx(1.0)
    assert found.mean_clip == pytest.approx(1 / 3)
    assert found.codec == pytest.approx(0.1)


def found(num_captions: int, num_wrong: int, own: float = 0.1) -> Findings:
    distances = np.ones((num_captions, num_captions)) - (1 - own) * np.eye(num_captions)
    for caption in range(num_wrong):
        distances[caption, caption + 1] = 0.0
    return Findings(distances=distances, untrained=2.0, mean_clip=0.3, codec=0.05)


def test_ten_of_twelve_are_enough_and_nine_are_not() -> None:
    assert [found(12, num_wrong).passed for num_wrong in (0, 2, 3)] == [True, True, False]


def test_the_mean_clip_must_be_beaten() -> None:
    assert not found(12, 0, own=0.3).passed
    assert replace(found(12, 0, own=0.3), mean_clip=0.31).passed
