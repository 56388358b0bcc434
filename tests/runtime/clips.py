"""A job on a folder of real clips: files of h264, a codec fitted to them, a text encoder, a tokenizer."""

import json
from dataclasses import replace

import numpy as np

from mdctl.data.video import encode_mp4, to_model
from mdctl.demo.prepare import write_model
from mdctl.models.wan.config import WanConfig
from mdctl.spec.shapes import PixelShape
from tests.workers import SMALL

FPS = 16
NUM_CLIPS = 7
SMALL_CLIP = PixelShape(5, 32, 32)
SMALL_NETWORK = replace(SMALL, text_dim=WanConfig.tiny().text_dim)


def film(number, shape):
    """Return the pixels of a clip: waves that run another way in each, under noise."""
    times, rows, columns = np.mgrid[: shape.frames, : shape.height, : shape.width]
    waves = 128 + 60 * np.sin((columns + number * rows) / 7 + times / 2) + 40 * np.cos(rows / (2 + number))
    noise = np.random.default_rng(number).normal(0, 6, (*waves.shape, 3))
    return (waves[..., None] + noise).clip(0, 255).astype(np.uint8)


def caption(number):
    return f"waves that run the way of number {number}"


def write_clip(folder, number, shape=SMALL_CLIP):
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.mp4").write_bytes(encode_mp4(film(number, shape), FPS))
    (folder / f"{number}.txt").write_text(caption(number))


def write_inputs(folder, shape=SMALL_CLIP, network=SMALL_NETWORK):
    """Write clips and a repository; return what a spec says of them."""
    numbers = range(NUM_CLIPS)
    for number in numbers:
        write_clip(folder / "clips", number, shape)
    clips = np.stack([to_model(film(number, shape)) for number in numbers])
    write_model(folder / "model", clips, list(map(caption, numbers)))
    (folder / "model/transformer/config.json").write_text(json.dumps(network.to_published()))
    return {
        "model": {"weights": str(folder / "model")},
        "video": {"height": shape.height, "width": shape.width, "frames": shape.frames, "fps": FPS},
        "data": {"type": "folder", "path": str(folder / "clips"), "heldOut": 1},
    }
