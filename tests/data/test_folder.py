from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdctl.data.cache import Cache
from mdctl.data.folder import LATENTS, Encoders, FolderSource, folder_dataset
from mdctl.data.index import index_folder
from mdctl.data.video import Decoding, decode, to_model
from mdctl.spec.shapes import PixelShape
from tests.data.conftest import WriteClip

DECODING = Decoding(PixelShape(5, 16, 16), 16)
NUM_CLIPS = 4


class Counting:
    """Encoders that count their calls: every fourth pixel, and the length of each word."""

    def __init__(self) -> None:
        self.num_clips = 0
        self.captions: list[str] = []

    def pixels(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        assert pixels.shape == (1, 5, 16, 16, 3)
        self.num_clips += 1
        return {LATENTS: pixels[:, ::4, ::4, ::4]}

    def text(self, captions: Sequence[str]) -> dict[str, np.ndarray]:
        (caption,) = captions
        self.captions.append(caption)
        embedding = np.zeros((1, 8, 2), np.float32)
        for place, word in enumerate(caption.split()):
            embedding[0, place] = len(word)
        return {"text": embedding}

    def value(self) -> Encoders:
        return Encoders(pixels=self.pixels, text=self.text, pixels_fingerprint="codec 1", text_fingerprint="words 1")


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def source(tmp_path: Path, write_clip: WriteClip, counting: Counting) -> FolderSource:
    for number in range(NUM_CLIPS):
        write_clip(tmp_path / "clips" / f"{number}.mp4", f"clip {'x' * number}", ground=40 * number)
    cache = Cache(str(tmp_path / "cache"))
    index = index_folder(str(tmp_path / "clips"), DECODING, cache)
    return FolderSource(index=index, decoding=DECODING, encoders=counting.value(), cache=cache)


def test_examples_are_what_the_encoders_make(source: FolderSource, counting: Counting) -> None:
    data = folder_dataset(source, seed=1)
    clip = source.index.clips[2]
    pixels = to_model(decode(clip.name, (Path(source.index.folder) / clip.name).read_bytes(), DECODING))
    example = data.load(2, 0)
    np.testing.assert_array_equal(example["latents"], pixels[::4, ::4, ::4])
    np.testing.assert_array_equal(example["conditioning"]["text"], counting.text(["clip xx"])["text"][0])
    assert not data.dropped["text"].any()
    assert data.order.num_examples == NUM_CLIPS


def test_batches_stack_examples(source: FolderSource) -> None:
    data = folder_dataset(source, seed=1)
    batch = next(data.batches(5, 3, [0, 1, 2]))
    assert batch["latents"].shape == (3, 2, 4, 4, 3)
    assert batch["conditioning"]["text"].shape == (3, 8, 2)
    assert batch["rows"].tolist() == [15, 16, 17]
    np.testing.assert_array_equal(batch["latents"][1], data.load(data.order.example(16), 16)["latents"])


def test_everything_is_encoded_once(source: FolderSource, counting: Counting) -> None:
    for seed in (1, 2):
        folder_dataset(source, seed=seed)
    assert counting.num_clips == NUM_CLIPS
    assert counting.captions == ["", "clip", "clip x", "clip xx", "clip xxx"]


def test_equal_clips_and_captions_are_encoded_once(
    tmp_path: Path, source: FolderSource, counting: Counting, write_clip: WriteClip
) -> None:
    write_clip(tmp_path / "clips" / "copy.mp4", "clip x", ground=0)
    index = index_folder(source.index.folder, DECODING, source.cache)
    data = folder_dataset(replace(source, index=index), seed=1)
    assert data.order.num_examples == NUM_CLIPS + 1
    assert (counting.num_clips, len(counting.captions)) == (NUM_CLIPS, NUM_CLIPS + 1)


def test_other_weights_are_encoded_anew(source: FolderSource, counting: Counting) -> None:
    folder_dataset(source, seed=1)
    folder_dataset(replace(source, encoders=replace(source.encoders, pixels_fingerprint="codec 2")), seed=1)
    assert (counting.num_clips, len(counting.captions)) == (2 * NUM_CLIPS, NUM_CLIPS + 1)
    folder_dataset(replace(source, encoders=replace(source.encoders, text_fingerprint="words 2")), seed=1)
    assert (counting.num_clips, len(counting.captions)) == (2 * NUM_CLIPS, 2 * NUM_CLIPS + 2)


def test_held_out_clips_are_kept_from_training(source: FolderSource) -> None:
    whole, data = folder_dataset(source, seed=1), folder_dataset(source, seed=1, num_held_out=1)
    trained = {data.load(i, i)["latents"].tobytes() for i in range(NUM_CLIPS - 1)}
    assert (data.order.num_examples, data.num_held_out) == (NUM_CLIPS - 1, 1)
    held_out = {data.held_out_batch([0])["latents"][0].tobytes()}
    assert trained | held_out == {whole.load(i, 0)["latents"].tobytes() for i in range(NUM_CLIPS)}
    assert not trained & held_out
