"""Which clips an attempt trains on, as its hosts agree on it, and what is heard while they are encoded."""

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath

from mdctl.data.framing import neutral
from mdctl.data.index import Clip, Index
from mdctl.models.codec import load_codec
from mdctl.runtime.dataset import keep_to_record, open_folder
from mdctl.runtime.peers import MemoryStore, Peers
from mdctl.runtime.preparation import Preparation
from mdctl.runtime.watchdog import Watchdog
from mdctl.spec.buckets import Size
from mdctl.spec.errors import DataError, SpecError
from mdctl.spec.outputs import DATA, PRIOR_DATA
from mdctl.spec.training import DataSpec, Prior, Training
from tests.data.pictures import SHAPES, told, write_pictures, write_vae
from tests.runtime.clips import FPS, NUM_CLIPS, SMALL_CLIP, write_clip
from tests.runtime.notes import Notes

CLIPS = tuple(Clip(f"{name}.mp4", f"clip {name}", f"{number:064x}") for number, name in enumerate("abcd"))


@pytest.fixture
def attempt(tmp_path):
    """Return what each host of an attempt makes of the clips that it finds: an index or an error."""
    quiet = Watchdog(lambda message: None)

    def host(rank, found, store, count, progress, held_out, sizes):
        peers = Peers(rank=rank, count=count, store=store)
        around = SimpleNamespace(
            spec=SimpleNamespace(data=SimpleNamespace(held_out=held_out)),
            output=epath.Path(tmp_path),
            progress=progress,
            peers=peers,
        )
        preparation = Preparation(peers=peers, watchdog=quiet, patience=60, show=lambda *piece: None)
        try:
            return keep_to_record(around, Index("clips", tuple(found), ()), preparation, sizes=sizes)
        except (DataError, SpecError) as error:
            return error

    def attempt(*found, progress=0, held_out=0, sizes=()):
        store = MemoryStore(len(found))
        with ThreadPoolExecutor(len(found)) as pool:
            futures = [
                pool.submit(host, rank, each, store, len(found), progress, held_out, sizes)
                for rank, each in enumerate(found)
            ]
            return [future.result(60) for future in futures]

    yield attempt
    quiet.rest()


def recorded(folder):
    return [clip["name"] for clip in json.loads((folder / DATA).read_text())["clips"]]


def test_an_attempt_with_progress_keeps_to_the_clips_of_the_first(tmp_path, attempt, caplog):
    first = attempt(CLIPS[:3], CLIPS[:3])
    assert recorded(tmp_path) == ["a.mp4", "b.mp4", "c.mp4"]
    with caplog.at_level(logging.INFO):
        later = attempt(CLIPS, CLIPS, progress=5)
    assert later == first
    assert {record.getMessage() for record in caplog.records} == {
        "data set clips: clips added since this run began are left out (1); "
        "a run with another output directory takes them"
    }
    assert all(record.fields == {} and record.shared for record in caplog.records)  # so that only rank 0 prints it
    assert recorded(tmp_path) == ["a.mp4", "b.mp4", "c.mp4"]


def test_an_attempt_without_progress_starts_afresh(tmp_path, attempt):
    attempt(CLIPS[:3])
    (index,) = attempt(CLIPS[1:])
    assert index.clips == CLIPS[1:]
    assert recorded(tmp_path) == ["b.mp4", "c.mp4", "d.mp4"]


def test_hosts_may_differ_in_what_was_added(attempt):
    first, _ = attempt(CLIPS[:3], CLIPS[:3])
    assert attempt(CLIPS, CLIPS[:3], progress=5) == [first, first]


def test_hosts_that_begin_with_different_clips_are_refused(tmp_path, attempt):
    for error in attempt(CLIPS, CLIPS[:3]):
        assert "hosts see different clips in clips" in str(error)
    assert not (tmp_path / DATA).exists()


def test_a_clip_that_is_gone_ends_every_host(attempt):
    attempt(CLIPS, CLIPS)
    for error in attempt(CLIPS[1:], CLIPS[1:], progress=5):
        assert "a.mp4: gone" in str(error)
        assert error.exit_code == 2


def test_another_number_of_held_out_clips_is_refused(attempt):
    attempt(CLIPS, held_out=1)
    (error,) = attempt(CLIPS, progress=5, held_out=2)
    assert "data.heldOut is 2, and this run began with 1; put it back" in str(error)


def test_other_buckets_are_refused(tmp_path, attempt):
    attempt(CLIPS, sizes=(Size(64, 64), Size(32, 128)))
    assert attempt(CLIPS, progress=5, sizes=(Size(64, 64), Size(32, 128)))[0].clips == CLIPS
    (error,) = attempt(CLIPS, progress=5)
    assert str(error) == (
        "data.buckets and video give the sizes of no buckets, and this run began with 64 x 64, 32 x 128; "
        "put them back, or name another output directory to start afresh"
    )
    record = json.loads((tmp_path / DATA).read_text())
    del record["sizes"]
    (tmp_path / DATA).write_text(json.dumps(record))  # as it was written before there were buckets
    assert attempt(CLIPS, progress=5)[0].clips == CLIPS


def test_a_run_without_a_record_says_from_where_on_it_keeps_one(tmp_path, attempt, caplog):
    (index,) = attempt(CLIPS, progress=5)
    assert index.clips == CLIPS
    assert "data.json is not there: from step 5 on this run keeps to the clips of now" in caplog.text
    assert recorded(tmp_path) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


class Family:
    """Encoders that look at a corner of each clip and at the length of each caption."""

    def load_codec(self, model, repository, *, tiling):
        return SimpleNamespace(encode=lambda videos: videos[:, :, :2, :2])

    def text_sources(self, repository):
        return ("text_encoder", "tokenizer")

    def load_text(self, repository, dtype):
        return lambda captions: {"text": np.array([[[len(caption)]] for caption in captions], np.float32)}


GLOBAL_BATCH, EVEN_BATCH = 3, 4


class ImageFamily(Family):
    """The VAE of a repository, and how often it was loaded."""

    num_loaded = 0

    def load_codec(self, model, repository, *, tiling):
        self.num_loaded += 1
        return load_codec(repository)


@pytest.fixture
def open_data(tmp_path):
    """Open the data set of a spec over a folder of clips; return it and what the watchdog was told to expect."""

    def open_data(family, video, framing=None, prior=None, **data):
        for part in ("vae", "text_encoder", "tokenizer"):
            (tmp_path / "model" / part).mkdir(parents=True, exist_ok=True)
        if not (tmp_path / "model/vae/config.json").exists():
            (tmp_path / "model/vae/config.json").write_text('{"_class_name": "BlockPCA"}')
        spec = SimpleNamespace(
            output_dir=str(tmp_path / "out"),
            video=video,
            data=DataSpec(path=str(tmp_path / "clips"), **data),
            model=SimpleNamespace(activations_dtype="float32", vae_tiling=False),
            catalogue_model=None,
            training=Training(prior=prior),
            layout=SimpleNamespace(global_batch=GLOBAL_BATCH if prior is None else EVEN_BATCH),
            prior_dir=str(tmp_path / "class"),
        )
        around = SimpleNamespace(spec=spec, output=epath.Path(tmp_path / "out"), progress=0, peers=Peers())
        notes = Notes()
        preparation = Preparation(peers=Peers(), watchdog=notes, patience=9.0, show=lambda *piece: None)
        denoiser = SimpleNamespace(
            load_text=family.load_text,
            text_sources=family.text_sources,
            framing=framing,
            told=frozenset() if framing is None else frozenset(framing(neutral(Size(1, 1)))),
            pictures={},
        )
        return open_folder(around, family, denoiser, tmp_path / "model", preparation), notes

    return open_data


def test_every_clip_is_expected_by_itself_until_all_are_encoded(tmp_path, open_data):
    for number in range(NUM_CLIPS):
        write_clip(tmp_path / "clips", number)
    dataset, notes = open_data(Family(), SimpleNamespace(**SMALL_CLIP._asdict(), fps=FPS), held_out=1)
    assert (dataset.order.num_examples, dataset.num_held_out) == (NUM_CLIPS - 1, 1)
    for what in ("looking for clip", "reading clip", "decoding clip", "encoding clip"):
        assert {(f"{what} {number} of {NUM_CLIPS}", 9.0) for number in range(1, NUM_CLIPS + 1)} <= set(notes.said)
    assert (f"encoding caption {NUM_CLIPS + 1} of {NUM_CLIPS + 1}", 9.0) in notes.said
    assert notes.said[-1] == ("preparing the data set", 9.0)


PICTURE = SimpleNamespace(frames=1, height=32, width=32, fps=1)
BUCKETS = {"step": 16, "max_ratio": 3}


@pytest.fixture
def pictures(tmp_path):
    write_pictures(tmp_path / "clips")
    write_vae(tmp_path / "model")
    return ImageFamily()


def test_a_spec_asks_for_buckets_sides_and_draws(pictures, open_data, caplog):
    with caplog.at_level(logging.INFO):
        dataset, notes = open_data(pictures, PICTURE, flip=True, buckets=BUCKETS, held_out=1)
    num_ways = 2 * (len(SHAPES) - 1) + 1
    assert (f"encoding clip {num_ways} of {num_ways}", 9.0) in notes.said
    assert (f"measuring clip {len(SHAPES)} of {len(SHAPES)}", 9.0) in notes.said
    assert pictures.num_loaded == 1
    sizes = [batch["latents"].shape[2:4] for batch in islice(dataset.batches(0, GLOBAL_BATCH, range(2)), 6)]
    assert len(set(sizes)) == 3
    assert not np.array_equal(dataset.load(0, 0)["latents"], dataset.load(0, 1)["latents"])
    assert pictures.num_loaded == 1
    report, warning = (record.getMessage() for record in caplog.records)
    assert report.startswith("clips by height x width: 48 x 16 (")
    assert report.endswith("; the training step is compiled once for each")
    assert re.match(
        r"fewer clips than a batch of 3 are 48 x 16 \([12]\)(, 16 x 48 \(2\))?: such a batch comes", warning
    )


def test_a_spec_asks_for_crops_that_are_not_kept(pictures, open_data):
    dataset, notes = open_data(pictures, PICTURE, crop="random", cache_latents=False)
    assert not any("encoding clip" in said for said, *_ in notes.said)
    batches = list(islice(dataset.batches(0, GLOBAL_BATCH, range(2)), 4))
    assert pictures.num_loaded == 1
    again = list(islice(dataset.batches(2, GLOBAL_BATCH, range(2)), 2))
    for one, other in zip(batches[2:], again, strict=True):
        np.testing.assert_array_equal(one["latents"], other["latents"])


def test_a_spec_asks_for_the_mode(pictures, open_data):
    dataset, _ = open_data(pictures, PICTURE, latents="mode")
    np.testing.assert_array_equal(dataset.load(0, 0)["latents"], dataset.load(0, 1)["latents"])


def test_a_network_is_told_of_framings_only_where_it_listens(pictures, open_data):
    silent, notes = open_data(pictures, PICTURE, framing=lambda framing: {})
    assert not any("measuring" in said for said, *_ in notes.said)
    assert silent.load(0, 0)["conditioning"].keys() == silent.dropped.keys() == {"text"}
    dataset, _ = open_data(pictures, PICTURE, framing=told)
    assert dataset.load(3, 0)["conditioning"]["sizes"].tolist() == [20, 50, 0, 24, 32, 32]
    assert dataset.dropped.keys() == {"text"}


def test_a_spec_asks_for_pictures_of_a_class_beside_a_subject(tmp_path, pictures, open_data):
    for path in write_pictures(tmp_path / "class", SHAPES[:2] + SHAPES[-1:]).glob("*.txt"):
        path.unlink()
    prior = Prior(prompt="a class")
    dataset, _ = open_data(pictures, PICTURE, framing=told, prior=prior, flip=True, held_out=1)
    assert pictures.num_loaded == 1
    num_subject = len(SHAPES) - 1
    assert (dataset.order.num_examples, dataset.num_held_out) == (num_subject + 3, 1)
    batches = list(islice(dataset.batches(0, EVEN_BATCH, range(EVEN_BATCH)), 6))
    lengths = np.stack([batch["conditioning"]["text"].ravel() for batch in batches])
    assert lengths.tolist() == [[len("picture 0")] * 2 + [len("a class")] * 2] * 6
    sizes = [tuple(size) for batch in batches for size in batch["conditioning"]["sizes"][2:, :2].astype(int)]
    assert {size: sizes.count(size) for size in set(sizes)} == {(40, 40): 8, (60, 20): 4}
    names = {name: json.loads((tmp_path / "out" / name).read_text()) for name in (DATA, PRIOR_DATA)}
    assert [(len(record["clips"]), record["num_held_out"]) for record in names.values()] == [(len(SHAPES), 1), (3, 0)]
