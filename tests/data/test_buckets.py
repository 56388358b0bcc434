"""A data set at `gs://`: the clips, the cache that two hosts share, the prompts."""

import threading
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from mdctl.data.cache import Cache, Share
from mdctl.data.files import content_digest, write_whole
from mdctl.data.folder import FolderSource, folder_dataset
from mdctl.data.index import index_folder, read_clip
from mdctl.data.prompts import Prompt, read_prompts
from mdctl.spec.errors import DataError, OutputError
from tests.buckets import blob, names_in, upload
from tests.data.test_folder import DECODING, Counting

NUM_CLIPS = 3
FORBIDDEN = "worker@project does not have storage.objects.get access to the Google Cloud Storage object."


@pytest.fixture
def here(tmp_path, write_clip):
    """Return clips in a folder of this machine."""
    for number in range(NUM_CLIPS):
        write_clip(tmp_path / "clips" / "deep" / f"{number}.mp4", f"clip {'x' * number}", ground=40 * number)
    return tmp_path / "clips"


@pytest.fixture
def clips(bucket, here):
    """Return the same clips in a bucket."""
    upload(here, f"{bucket}/clips")
    return f"{bucket}/clips"


def open_source(clips, cache):
    counting = Counting()
    index = index_folder(str(clips), DECODING, cache)
    return counting, FolderSource(index=index, decoding=DECODING, encoders=counting.value(), cache=cache)


def test_clips_in_a_bucket_are_those_in_a_folder(clips, here, tmp_path):
    cache = Cache(str(tmp_path / "cache"))
    there = index_folder(clips, DECODING, cache)
    assert [clip.name for clip in there.clips] == [f"deep/{number}.mp4" for number in range(NUM_CLIPS)]
    assert there.fingerprint == index_folder(str(here), DECODING, cache).fingerprint
    assert not there.dropped


def test_examples_are_the_same_from_a_bucket_with_its_cache_there_too(clips, here, bucket, tmp_path):
    _, remote = open_source(clips, Cache(f"{bucket}/run/cache"))
    _, local = open_source(here, Cache(str(tmp_path / "cache")))
    ours, theirs = folder_dataset(remote, seed=1, num_held_out=1), folder_dataset(local, seed=1, num_held_out=1)
    for number in range(NUM_CLIPS - 1):
        np.testing.assert_array_equal(ours.load(number, 0)["latents"], theirs.load(number, 0)["latents"])
        np.testing.assert_array_equal(
            ours.load(number, 0)["conditioning"]["text"], theirs.load(number, 0)["conditioning"]["text"]
        )


def test_what_is_in_the_bucket_is_not_computed_again(clips, bucket):
    first, source = open_source(clips, Cache(f"{bucket}/run/cache"))
    folder_dataset(source, seed=1)
    second, source = open_source(clips, Cache(f"{bucket}/run/cache"))
    folder_dataset(source, seed=1)
    assert (first.num_clips, second.num_clips, second.captions) == (NUM_CLIPS, 0, [])


def test_a_damaged_entry_in_the_bucket_is_computed_again(clips, bucket):
    _, source = open_source(clips, Cache(f"{bucket}/run/cache"))
    before = folder_dataset(source, seed=1).load(0, 0)["latents"]
    for name in names_in(f"{bucket}/run/cache"):
        entry = blob(f"{bucket}/run/cache/{name}")
        entry.upload_from_string(entry.download_as_bytes()[:-1])
    again, source = open_source(clips, Cache(f"{bucket}/run/cache"))
    np.testing.assert_array_equal(folder_dataset(source, seed=1).load(0, 0)["latents"], before)
    assert again.num_clips == NUM_CLIPS


def test_hosts_that_share_a_bucket_compute_each_entry_once(bucket):
    items = {f"{number:064x}": number for number in range(7)}
    computed, barrier = [], threading.Barrier(2)

    def compute(numbers):
        computed.extend(numbers)
        return [bytes([number]) * 9 for number in numbers]

    caches = [Cache(f"{bucket}/cache", Share(host, 2, barrier.wait)) for host in range(2)]
    hosts = [threading.Thread(target=cache.fill, args=("computing", items, compute)) for cache in caches]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert sorted(computed) == list(items.values())
    for cache in caches:
        assert [cache.read(name) for name in items] == [bytes([number]) * 9 for number in items.values()]


def test_metadata_in_a_bucket_holds_the_captions(clips, tmp_path):
    blob(f"{clips}/metadata.jsonl").upload_from_string(
        '{"file_name": "deep/1.mp4", "text": "one"}\n{"file_name": "deep/none.mp4", "text": "none"}\n'
    )
    found = index_folder(clips, DECODING, Cache(str(tmp_path / "cache")))
    assert [(clip.name, clip.caption) for clip in found.clips] == [("deep/1.mp4", "one")]
    assert found.dropped == ("deep/none.mp4: no such file",)


def test_a_clip_that_changes_in_the_bucket_is_noticed(clips, tmp_path):
    found = index_folder(clips, DECODING, Cache(str(tmp_path / "cache")))
    blob(f"{clips}/{found.clips[0].name}").upload_from_string("other")
    blob(f"{clips}/{found.clips[1].name}").delete()
    for clip in found.clips[:2]:
        with pytest.raises(DataError, match=f"{clip.name} changed or went away while the job ran"):
            read_clip(clips, clip)


def test_prompts_come_from_a_bucket(bucket):
    blob(f"{bucket}/prompts.txt").upload_from_string("a red fox\n\na café\n")
    blob(f"{bucket}/prompts.jsonl").upload_from_string('{"prompt": "a red fox", "seed": 3}\n')
    assert read_prompts(f"{bucket}/prompts.txt") == (Prompt("a red fox"), Prompt("a café"))
    assert read_prompts(f"{bucket}/prompts.jsonl") == (Prompt("a red fox", 3),)


def test_a_folder_of_weights_has_the_same_digest_in_a_bucket(clips, here):
    assert content_digest(epath.Path(clips)) == content_digest(here)


@pytest.mark.parametrize("place", ["gs://nobodys-bucket/clips", "nothing"])
def test_a_folder_that_is_not_there_is_one_sentence(bucket, tmp_path, place):
    place = f"{bucket}/nothing" if place == "nothing" else place
    with pytest.raises(DataError, match=f"data set {place}: there is no such folder"):
        index_folder(place, DECODING, Cache(str(tmp_path / "cache")))


def test_prompts_that_are_not_there_are_one_sentence(bucket):
    with pytest.raises(DataError, match=rf"{bucket}/none.txt cannot be read: \S") as error:
        read_prompts(f"{bucket}/none.txt")
    assert "None" not in str(error.value)


READS = {
    "clips": lambda tmp_path: index_folder("gs://theirs/clips", DECODING, Cache(str(tmp_path / "cache"))),
    "prompts": lambda tmp_path: read_prompts("gs://theirs/prompts.txt"),
    "cache": lambda tmp_path: Cache("gs://theirs/cache").read("0" * 64),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_bucket_that_may_not_be_read_is_the_users_to_mend(refusing, tmp_path: Path, read, status):
    refusing(status, FORBIDDEN)
    with pytest.raises(DataError, match=r"gs://theirs/.*storage\.objects\.get access"):
        read(tmp_path)


@pytest.mark.parametrize("status", [401, 403])
def test_a_bucket_that_may_not_be_written_is_the_users_to_mend(refusing, status):
    refusing(status, FORBIDDEN)
    with pytest.raises(OutputError, match=r"gs://theirs/a \(1 bytes\) cannot be written: .*storage\.objects\.get"):
        write_whole("gs://theirs/a", b"1")
