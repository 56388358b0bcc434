"""Pictures on their way into training: drawn latents, mirrored, in buckets, cut, and what a model is told of that."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mdctl.data.bucketed_order import BucketedOrder
from mdctl.data.dataset import Batch, Dataset
from mdctl.data.draws import corner, is_mirrored, latent_noise
from mdctl.data.files import digest
from mdctl.data.folder import MEAN, STD, folder_dataset
from mdctl.data.framing import Framing, Offset, framed
from mdctl.data.index import read_clip
from mdctl.data.treatment import Treatment
from mdctl.data.video import Decoding, decode, to_model
from mdctl.models.codec import Codec, load_codec
from mdctl.spec.buckets import Size
from mdctl.spec.shapes import LatentShape, PixelShape
from tests.data.conftest import WriteClip
from tests.data.pictures import (
    DECODING,
    LYING,
    SHAPES,
    SIZES,
    SQUARE,
    UPRIGHT,
    Encoding,
    open_pictures,
    told,
    write_pictures,
    write_vae,
)

SEED, BATCH, HELD_OUT = 7, 2, 1
NUM = len(SHAPES)
ALL = Treatment(sizes=SIZES, mirrors=True, crops=True, is_kept=False)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    repository = tmp_path_factory.mktemp("repository")
    write_vae(repository)
    return load_codec(repository)


@pytest.fixture
def encoding(codec: Codec) -> Encoding:
    return Encoding(codec)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "pictures")
    return tmp_path


def moments(encoding: Encoding, folder: Path, number: int, decoding: Decoding) -> tuple[np.ndarray, np.ndarray]:
    """Return what the VAE makes of a picture, straight from its file."""
    content = (folder / "pictures" / f"{number}.png").read_bytes()
    found = encoding.pixels(to_model(decode("a.png", content, decoding))[None])
    return found[MEAN][0], found[STD][0]


def sized(size: Size) -> Decoding:
    return replace(DECODING, shape=PixelShape(1, *size))


def batches(data: Dataset, start: int, num: int, positions: range = range(BATCH)) -> list[Batch]:
    return list(islice(data.batches(start, BATCH, positions), num))


def assert_same(one: Batch, other: Batch) -> None:
    np.testing.assert_array_equal(one["latents"], other["latents"])
    np.testing.assert_array_equal(one["rows"], other["rows"])
    for name, array in one["conditioning"].items():
        np.testing.assert_array_equal(array, other["conditioning"][name])


def test_latents_are_drawn_anew_in_every_row(pictures: Path, encoding: Encoding) -> None:
    data = folder_dataset(open_pictures(pictures, encoding), seed=SEED)
    mean, std = moments(encoding, pictures, 3, DECODING)
    for row in (0, 5, 2**40):
        expected = mean + std * latent_noise(SEED, row, LatentShape(*mean.shape))
        np.testing.assert_array_equal(data.load(3, row)["latents"], expected)
    assert std.min() > 0


def test_drawn_latents_have_the_mean_and_deviation_of_the_posterior(pictures: Path, encoding: Encoding) -> None:
    data = folder_dataset(open_pictures(pictures, encoding), seed=SEED)
    mean, std = moments(encoding, pictures, 0, DECODING)
    off = np.stack([(data.load(0, row)["latents"] - mean) / std for row in range(100)]).astype(np.float64)
    assert abs(off.mean()) < 4 / off.size**0.5
    assert abs(off.std() - 1) < 4 / (2 * off.size) ** 0.5


def test_a_codec_asked_for_the_mode_gives_it_in_every_row(pictures: Path, codec: Codec) -> None:
    data = folder_dataset(open_pictures(pictures, Encoding(codec, draws=False)), seed=SEED)
    mean, _ = moments(Encoding(codec), pictures, 0, DECODING)
    for row in (0, 9):
        np.testing.assert_allclose(data.load(0, row)["latents"], mean, rtol=1e-5, atol=1e-6)


def test_mirrored_pictures_are_encoded_by_themselves(pictures: Path, encoding: Encoding) -> None:
    data = folder_dataset(open_pictures(pictures, encoding, Treatment(mirrors=True)), seed=SEED)
    assert len(encoding.seen) == 2 * NUM
    sides = [moments(encoding, pictures, 3, replace(DECODING, mirrored=mirrored)) for mirrored in (False, True)]
    assert not np.allclose(sides[0][0], sides[1][0][:, :, ::-1], atol=1e-3)  # or the cache could do with one of both
    taken = []
    for row in range(12):
        mean, std = sides[is_mirrored(SEED, row)]
        expected = mean + std * latent_noise(SEED, row, LatentShape(*mean.shape))
        np.testing.assert_array_equal(data.load(3, row)["latents"], expected)
        taken.append(is_mirrored(SEED, row))
    assert {*taken} == {False, True}


def test_mirroring_later_keeps_what_was_encoded(pictures: Path, encoding: Encoding) -> None:
    folder_dataset(open_pictures(pictures, encoding), seed=SEED)
    folder_dataset(open_pictures(pictures, encoding, Treatment(mirrors=True)), seed=SEED)
    assert len(encoding.seen) == 2 * NUM
    folder_dataset(open_pictures(pictures, encoding), seed=SEED)
    assert len(encoding.seen) == 2 * NUM


def test_buckets_later_encode_what_has_another_size(pictures: Path, encoding: Encoding) -> None:
    folder_dataset(open_pictures(pictures, encoding), seed=SEED)
    folder_dataset(open_pictures(pictures, encoding, Treatment(sizes=SIZES)), seed=SEED, global_batch=BATCH)
    assert sorted(pixels.shape[2:4] for pixels in encoding.seen[NUM:]) == [*[LYING] * 3, *[UPRIGHT] * 2]


def test_batches_of_buckets_have_the_size_of_their_pictures(pictures: Path, encoding: Encoding) -> None:
    source = open_pictures(pictures, encoding, Treatment(sizes=SIZES))
    data = folder_dataset(source, seed=SEED, global_batch=BATCH)
    assert isinstance(data.order, BucketedOrder)
    assert data.order.buckets == {UPRIGHT: [6, 7], SQUARE: [0, 1, 2], LYING: [3, 4, 5]}
    seen = set()
    for step, batch in enumerate(batches(data, 0, 8)):
        number = data.order.example(step * BATCH)
        size = next(size for size, members in data.order.buckets.items() if number in members)
        assert batch["latents"].shape == (BATCH, 1, size.height // 8, size.width // 8, 4)
        mean, std = moments(encoding, pictures, number, sized(size))
        expected = mean + std * latent_noise(SEED, step * BATCH, LatentShape(*mean.shape))
        np.testing.assert_array_equal(batch["latents"][0], expected)
        seen.add(size)
    assert seen == {UPRIGHT, SQUARE, LYING}


@pytest.mark.parametrize("treatment", [Treatment(sizes=SIZES, mirrors=True), ALL])
def test_a_run_resumed_in_mid_epoch_over_more_hosts_sees_the_same(
    pictures: Path, codec: Codec, treatment: Treatment
) -> None:
    def opened() -> Dataset:
        return folder_dataset(
            open_pictures(pictures, Encoding(codec), treatment, told),
            seed=SEED,
            global_batch=BATCH,
            num_held_out=HELD_OUT,
        )

    whole = batches(opened(), 0, 9)
    for start in (2, 5):
        for kept, resumed in zip(whole[start:], batches(opened(), start, 9 - start), strict=True):
            assert_same(kept, resumed)
    hosts = [batches(opened(), 5, 4, range(position, position + 1)) for position in range(BATCH)]
    for kept, *parts in zip(whole[5:], *hosts, strict=True):
        np.testing.assert_array_equal(kept["latents"], np.concatenate([part["latents"] for part in parts]))


def test_pictures_that_are_not_kept_are_cut_anew_in_every_row(pictures: Path, encoding: Encoding) -> None:
    treatment = Treatment(crops=True, is_kept=False)
    data = folder_dataset(open_pictures(pictures, encoding, treatment), seed=SEED)
    assert not encoding.seen
    for row in (0, 1):
        loaded = data.load(4, row)["latents"]
        mean, std = moments(encoding, pictures, 4, replace(DECODING, corner=corner(SEED, row)))
        np.testing.assert_array_equal(loaded, mean + std * latent_noise(SEED, row, LatentShape(*mean.shape)))
    assert not np.array_equal(encoding.seen[0], encoding.seen[2])


def test_pictures_that_are_not_kept_are_what_they_are_when_they_are(pictures: Path, codec: Codec) -> None:
    kept, fresh = (
        folder_dataset(open_pictures(pictures, Encoding(codec), Treatment(mirrors=True, is_kept=is_kept)), seed=SEED)
        for is_kept in (True, False)
    )
    for row in range(4):
        np.testing.assert_array_equal(kept.load(2, row)["latents"], fresh.load(2, row)["latents"])


@pytest.mark.parametrize("treatment", [Treatment(), Treatment(sizes=SIZES, mirrors=True), ALL])
def test_held_out_pictures_are_their_mode_in_the_one_size(
    pictures: Path, encoding: Encoding, treatment: Treatment
) -> None:
    source = open_pictures(pictures, encoding, treatment, told)
    data = folder_dataset(source, seed=SEED, global_batch=BATCH, num_held_out=3)
    _, held_out = source.index.split(3)
    assert data.order.num_examples == NUM - 3
    batch = data.held_out_batch([0, 1, 2])
    for position, clip in enumerate(held_out):
        pixels = to_model(decode(clip.name, read_clip(source.index.folder, clip), DECODING))
        np.testing.assert_array_equal(batch["latents"][position], encoding.pixels(pixels[None])[MEAN][0])
        framing = framed(source.sizes[clip.content], SQUARE)
        np.testing.assert_array_equal(batch["conditioning"]["sizes"][position], told(framing)["sizes"])


def test_a_model_is_told_how_pictures_were_framed(pictures: Path, encoding: Encoding) -> None:
    data = folder_dataset(open_pictures(pictures, encoding, None, told), seed=SEED)
    # 20 x 50 is scaled to 32 x 80, 60 x 20 to 96 x 32.
    for number, framing in (
        (0, Framing(Size(40, 40), Offset(0, 0), SQUARE)),
        (3, Framing(Size(20, 50), Offset(0, 24), SQUARE)),
        (6, Framing(Size(60, 20), Offset(32, 0), SQUARE)),
    ):
        conditioning = data.load(number, 0)["conditioning"]
        np.testing.assert_array_equal(conditioning["sizes"], told(framing)["sizes"])
        assert conditioning["text"].tolist() == [[len("picture 0")]]
    assert {name: array.tolist() for name, array in data.dropped.items()} == {"text": [[0]]}


def test_a_model_is_told_of_the_crop_of_the_row_and_not_of_its_side(pictures: Path, encoding: Encoding) -> None:
    data = folder_dataset(open_pictures(pictures, encoding, ALL, told), seed=SEED, global_batch=BATCH)
    mirrored = {}
    for row in range(6):
        sizes = data.load(3, row)["conditioning"]["sizes"]
        expected = framed(Size(20, 50), LYING, corner(SEED, row))
        np.testing.assert_array_equal(sizes, told(expected)["sizes"])
        mirrored[is_mirrored(SEED, row)] = True
    assert len(mirrored) == 2


@pytest.mark.parametrize("side", [False, True])
def test_entries_keep_the_names_that_they_had(tmp_path: Path, write_clip: WriteClip, codec: Codec, side: bool) -> None:
    """What was encoded before there were mirrored clips, crops and sizes is not encoded again."""
    path = write_clip(tmp_path / "pictures" / "a.mp4", num_frames=1)
    treatment = Treatment(mirrors=side, sizes=SIZES if side else ())
    folder_dataset(open_pictures(tmp_path, Encoding(codec, draws=False), treatment), seed=SEED)
    shown = "Decoding(shape=PixelShape(frames=1, height=32, width=32), fps=1)"
    name = digest("latents", ".mp4", digest(path.read_bytes()), shown, "vae False")
    assert (tmp_path / "cache" / name[:2] / name).exists()
