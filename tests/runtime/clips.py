"""A small job on a folder of real clips: files of h264, a codec fitted to them, a text encoder, a tokenizer."""

import json
from dataclasses import replace

import numpy as np

from mdctl.data.video import encode_mp4, to_model
from mdctl.demo.prepare import write_model
from mdctl.models.wan.config import WanConfig
from tests.workers import SMALL

FRAMES, SIZE, FPS = 5, 32, 16
NUM_CLIPS = 7


def film(number):
    """Return the pixels of a clip: waves that run another way in each, under noise."""
    times, rows, columns = np.mgrid[:FRAMES, :SIZE, :SIZE]
    waves = 128 + 60 * np.sin((columns + number * rows) / 7 + times / 2) + 40 * np.cos(rows / (2 + number))
    noise = np.random.default_rng(number).normal(0, 6, (*waves.shape, 3))
    return (waves[..., None] + noise).clip(0, 255).astype(np.uint8)


def caption(number):
    return f"waves that run the way of number {number}"


def write_clip(folder, number):
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.mp4").write_bytes(encode_mp4(film(number), FPS))
    (folder / f"{number}.txt").write_text(caption(number))


def write_repository(folder):
    numbers = range(NUM_CLIPS)
    write_model(folder, np.stack([to_model(film(number)) for number in numbers]), list(map(caption, numbers)))
    network = replace(SMALL, text_dim=WanConfig.tiny().text_dim)
    (folder / "transformer" / "config.json").write_text(json.dumps(network.to_published()))


def write_inputs(folder):
    """Write clips and a repository; return what a spec says of them."""
    for number in range(NUM_CLIPS):
        write_clip(folder / "clips", number)
    write_repository(folder / "model")
    return {
        "model": {"weights": str(folder / "model")},
        "video": {"height": SIZE, "width": SIZE, "frames": FRAMES, "fps": FPS},
        "data": {"type": "folder", "path": str(folder / "clips"), "heldOut": 1},
    }
