import numpy as np

from mdctl.data.draws import corner, is_mirrored, latent_noise
from mdctl.diffusion.randomness import host_noise
from mdctl.spec.shapes import LatentShape

SHAPE = LatentShape(1, 8, 8, 4)
NUM_ROWS = 4000


def test_half_of_the_rows_are_mirrored_whichever_part_of_them_is_looked_at() -> None:
    mirrored = np.array([is_mirrored(3, row) for row in range(NUM_ROWS)])
    bound = 4 * 0.5 / NUM_ROWS**0.5
    assert abs(mirrored.mean() - 0.5) < bound
    assert abs(mirrored[::2].mean() - 0.5) < 2 * bound
    assert abs((mirrored[1:] == mirrored[:-1]).mean() - 0.5) < bound


def test_corners_are_uniform() -> None:
    corners = np.array([corner(3, row) for row in range(NUM_ROWS)])
    assert (corners.min() >= 0, corners.max() < 1) == (True, True)
    np.testing.assert_allclose(corners.mean(axis=0), 0.5, atol=4 * (1 / 12) ** 0.5 / NUM_ROWS**0.5)
    assert abs(np.corrcoef(corners.T)[0, 1]) < 4 / NUM_ROWS**0.5


def test_seeds_rows_and_uses_differ() -> None:
    rows = (0, 1, 2**32, 2**32 + 1)
    noises = [latent_noise(seed, row, SHAPE) for seed in (0, 1) for row in rows]
    sampled = [host_noise((seed, number), SHAPE) for seed in (0, 1) for number in range(8)]
    assert len({noise.tobytes() for noise in [*noises, *sampled]}) == 8 + 16
    assert len({corner(seed, row) for seed in (0, 1) for row in rows}) == 8


def test_what_is_drawn_never_changes() -> None:
    # A resumed run draws again what a killed one drew.
    assert [is_mirrored(5, row) for row in range(8)] == [False, False, False, True, True, False, True, False]
    np.testing.assert_allclose(corner(5, 2**40), (0.07791994853213491, 0.43146981347966706), rtol=1e-12)
    np.testing.assert_allclose(latent_noise(5, 7, SHAPE).ravel()[:3], [1.1268326, -0.38015777, 0.02153273], rtol=1e-5)
