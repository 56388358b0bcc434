import numpy as np
import pytest

from mdctl.demo.picture.measure import Findings, Recall, recall


def pictures(*greys: float) -> np.ndarray:
    return np.array(greys, np.float32)[:, None, None, None, None] * np.ones((1, 1, 4, 4, 3), np.float32)


PICTURES = pictures(-0.8, -0.2, 0.2, 0.8)


def test_ranks_count_the_pictures_that_are_nearer() -> None:
    found = recall(pictures(-0.7, 0.3), [0, 3], PICTURES)
    np.testing.assert_allclose(found.distances, [[0.1, 0.5, 0.9, 1.5], [1.1, 0.5, 0.1, 0.5]], rtol=1e-5)
    assert found.ranks.tolist()[0] == [0, 1, 2, 3]
    assert found.ranks[1, 2] == 0
    assert found.ranks[1, 0] == 3
    assert found.nearest.tolist() == [0, 2]
    assert found.own == pytest.approx((0.1 + 0.5) / 2)


def test_pictures_as_near_share_a_rank() -> None:
    found = Recall(distances=np.array([[0.5, 0.2, 0.5, 0.1]]), asked=np.array([2]))
    assert found.ranks.tolist() == [[2, 1, 2, 0]]


def test_top_is_the_part_of_samples_whose_picture_is_among_the_nearest() -> None:
    found = recall(pictures(-0.8, -0.75, 0.25, 0.9), [0, 1, 1, 0], PICTURES)
    assert [found.top(count) for count in (1, 2, 3, 4)] == [0.25, 0.75, 0.75, 1.0]


def test_shuffled_prompts_are_all_other_pictures() -> None:
    right = recall(PICTURES, [0, 1, 2, 3], PICTURES)
    assert right.top(1) == 1
    assert right.shuffled_top(1) == 0
    assert right.shuffled_top(2) == pytest.approx(4 / 12)
    assert right.shuffled_own == pytest.approx(np.mean([0.6, 1.0, 1.6, 0.6, 0.4, 1.0]))
    wrong = recall(PICTURES, [1, 2, 3, 0], PICTURES)
    assert wrong.top(1) == 0
    assert wrong.shuffled_top(1) == pytest.approx(4 / 12)


@pytest.mark.parametrize(("num_right", "passed"), [(10, True), (8, True), (7, False)])
def test_four_of_five_must_be_right(num_right: int, passed: bool) -> None:
    distances = np.ones((10, 10)) - np.eye(10)
    distances[num_right:] = 1 - distances[num_right:]
    found = Recall(distances=distances, asked=np.arange(10))
    assert Findings(samples=found, codec=found).passed is passed
