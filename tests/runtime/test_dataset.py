"""Which clips an attempt trains on, as its hosts agree on it, and what is heard while they are encoded."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath

from mdctl.data.index import Clip, Index
from mdctl.runtime.dataset import keep_to_record, open_folder
from mdctl.runtime.peers import MemoryStore, Peers
from mdctl.runtime.preparation import Preparation
from mdctl.runtime.watchdog import Watchdog
from mdctl.spec.errors import DataError, SpecError
from mdctl.spec.outputs import DATA
from tests.runtime.clips import FPS, NUM_CLIPS, SMALL_CLIP, write_clip
from tests.runtime.notes import Notes

CLIPS = tuple(Clip(f"{name}.mp4", f"clip {name}", f"{number:064x}") for number, name in enumerate("abcd"))


@pytest.fixture
def attempt(tmp_path):
    """Return what each host of an attempt makes of the clips that it finds: an index or an error."""
    quiet = Watchdog(lambda message: None)

    def host(rank, found, store, count, progress, held_out):
        peers = Peers(rank=rank, count=count, store=store)
        around = SimpleNamespace(
            spec=SimpleNamespace(data=SimpleNamespace(held_out=held_out)),
            output=epath.Path(tmp_path),
            progress=progress,
            peers=peers,
        )
        preparation = Preparation(peers=peers, watchdog=quiet, patience=60, show=lambda *piece: None)
        try:
            return keep_to_record(around, Index("clips", tuple(found), ()), preparation)
        except (DataError, SpecError) as error:
            return error

    def attempt(*found, progress=0, held_out=0):
        store = MemoryStore(len(found))
        with ThreadPoolExecutor(len(found)) as pool:
            futures = [
                pool.submit(host, rank, each, store, len(found), progress, held_out) for rank, each in enumerate(found)
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


def test_a_run_without_a_record_says_from_where_on_it_keeps_one(tmp_path, attempt, caplog):
    (index,) = attempt(CLIPS, progress=5)
    assert index.clips == CLIPS
    assert "data.json is not there: from step 5 on this run keeps to the clips of now" in caplog.text
    assert recorded(tmp_path) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


class Family:
    """Encoders that look at a corner of each clip and at the length of each caption."""

    def load_codec(self, repository):
        return SimpleNamespace(encode=lambda videos: videos[:, :, :2, :2])

    def load_text(self, repository, dtype):
        return lambda captions: {"text": np.array([[[len(caption)]] for caption in captions], np.float32)}


def test_every_clip_is_expected_by_itself_until_all_are_encoded(tmp_path):
    for number in range(NUM_CLIPS):
        write_clip(tmp_path / "clips", number)
    for part in ("vae", "text_encoder", "tokenizer"):
        (tmp_path / "model" / part).mkdir(parents=True)
    spec = SimpleNamespace(
        output_dir=str(tmp_path / "out"),
        video=SimpleNamespace(**SMALL_CLIP._asdict(), fps=FPS),
        data=SimpleNamespace(path=str(tmp_path / "clips"), cache=None, held_out=1),
        model=SimpleNamespace(activations_dtype="float32"),
        training=SimpleNamespace(seed=0),
    )
    around = SimpleNamespace(spec=spec, output=epath.Path(tmp_path / "out"), progress=0, peers=Peers())
    notes = Notes()
    preparation = Preparation(peers=Peers(), watchdog=notes, patience=9.0, show=lambda *piece: None)
    dataset = open_folder(around, Family(), tmp_path / "model", preparation)
    assert (dataset.order.num_examples, dataset.num_held_out) == (NUM_CLIPS - 1, 1)
    for what in ("looking for clip", "reading clip", "decoding clip", "encoding clip"):
        assert {(f"{what} {number} of {NUM_CLIPS}", 9.0) for number in range(1, NUM_CLIPS + 1)} <= set(notes.said)
    assert (f"encoding caption {NUM_CLIPS + 1} of {NUM_CLIPS + 1}", 9.0) in notes.said
    assert notes.said[-1] == ("preparing the data set", 9.0)
