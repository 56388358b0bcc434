import numpy as np

from mdctl.data.video import encode_mp4
from mdctl.demo.shots import BIKES, BUNNY, CARPHONE, SHAPE, SHOTS, Shot, cut

FILM_SHAPES = {BUNNY: (132, 720, 1280), BIKES: (250, 272, 640), CARPHONE: (120, 144, 176)}


def test_there_are_a_dozen_shots_with_names_and_captions_of_their_own() -> None:
    assert len(SHOTS) == len({shot.name for shot in SHOTS}) == len({shot.caption for shot in SHOTS}) == 12


def test_shots_lie_within_their_films() -> None:
    for shot in SHOTS:
        frames, height, width = FILM_SHAPES[shot.film]
        assert shot.first + shot.every * (SHAPE.frames - 1) < frames, shot
        assert shot.left + shot.side <= width, shot
        assert shot.top + shot.side <= height, shot


def test_no_two_shots_of_one_place_show_the_same_frames() -> None:
    shown = [
        (shot.film, shot.left, shot.first + shot.every * number) for shot in SHOTS for number in range(SHAPE.frames)
    ]
    assert len(set(shown)) == len(shown)


def test_a_shot_is_cut_in_time_and_space() -> None:
    film = np.zeros((40, 96, 128, 3), np.uint8)
    for frame in range(40):
        film[frame, 16:80, 32:96] = 4 * frame
    shot = Shot("square", "a square", "film.mp4", first=3, every=2, left=32, top=16, side=64)
    pixels = cut({"film.mp4": encode_mp4(film, 25)}, shot)
    assert pixels.shape == (*SHAPE, 3)
    expected = 4 * np.arange(3, 36, 2)[:, None, None, None]
    assert np.abs(pixels[:, 2:-2, 2:-2].astype(int) - expected).max() <= 4
