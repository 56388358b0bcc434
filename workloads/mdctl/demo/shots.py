"""A dozen shots of the three films, with captions: what the model of the demo learns by heart."""

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np

from mdctl.data.video import Pixels, fit, video_frames
from mdctl.spec.shapes import PixelShape

SHAPE = PixelShape(frames=17, height=64, width=64)
FPS = 16


class Shot(NamedTuple):
    """Every `every`th frame of a film from `first` on, in a square of `side` pixels."""

    name: str
    caption: str
    film: str
    first: int
    every: int
    left: int
    top: int
    side: int


BUNNY, BIKES, CARPHONE = "bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"

SHOTS = (
    Shot("burrow", "a grey rabbit climbs out of its burrow", BUNNY, 0, 2, 130, 160, 480),
    Shot("stretch", "a fat rabbit stretches its arms on a green meadow", BUNNY, 50, 3, 130, 0, 720),
    Shot("forehead", "a close view of a rabbit that lifts a paw to its forehead", BUNNY, 99, 2, 300, 30, 420),
    Shot("roof", "the white roof of a van seen from above", BIKES, 0, 1, 300, 0, 272),
    Shot("suit", "a man in a dark suit walks past parked cars", BIKES, 30, 1, 150, 0, 272),
    Shot("taxi", "the roof sign of a taxi glides through the picture", BIKES, 59, 1, 190, 0, 272),
    Shot("van", "the back of a dark van that waits in traffic", BIKES, 76, 2, 30, 0, 272),
    Shot("cyclist", "a cyclist with a helmet waits beside a motorbike", BIKES, 112, 1, 350, 0, 272),
    Shot("street", "cars drive along a town street behind a fence", BIKES, 137, 3, 100, 0, 272),
    Shot("bollard", "a man in black trousers walks past a bollard", BIKES, 187, 1, 120, 0, 272),
    Shot("bicycle", "an old bicycle leans against a stone wall", BIKES, 215, 1, 290, 0, 272),
    Shot("bowtie", "a man with a red bow tie sits in a car and talks", CARPHONE, 0, 2, 16, 0, 144),
)


def cut(films: Mapping[str, bytes], shot: Shot) -> Pixels:
    """Return the frames of a shot."""
    box = (shot.left, shot.top, shot.left + shot.side, shot.top + shot.side)
    last = shot.first + (SHAPE.frames - 1) * shot.every
    chosen = islice(video_frames(films[shot.film]), shot.first, last + 1, shot.every)
    return np.stack([fit(frame.crop(box), SHAPE.height, SHAPE.width) for frame in chosen])
