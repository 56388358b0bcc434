import shutil

import pytest

from mdctl.results.checkpoints import read_checkpoints
from mdctl.results.opening import open_store
from tests.buckets import blob, upload
from tests.workers import STEPS


@pytest.fixture(params=["folder", "bucket"])
def kept(request, written, tmp_path):
    """Return the store of a run's checkpoints, and what changes a file of the newest (None removes it)."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(written / "trained" / "checkpoints", folder)
    if request.param == "folder":

        def change(name, content):
            path = folder / str(STEPS) / name
            path.unlink() if content is None else path.write_bytes(content)

        return open_store(str(folder)), change
    location = f"{request.getfixturevalue('bucket')}/checkpoints"
    upload(folder, location)

    def change(name, content):
        file = blob(f"{location}/{STEPS}/{name}")
        file.delete() if content is None else file.upload_from_string(content)

    return open_store(location), change


def newest(store):
    return read_checkpoints(store, "")[-1]


def test_whole_checkpoints_are_found(kept):
    store, _ = kept
    assert [(each.step, each.damage) for each in read_checkpoints(store, "")] == [(STEPS - 5, None), (STEPS, None)]
    assert newest(store).size == sum(entry.size for entry in store.files(str(STEPS)))


@pytest.mark.parametrize(
    ("name", "content", "damage"),
    [
        ("_CHECKPOINT_METADATA", None, "its metadata is missing"),
        ("integers/metadata", None, "its metadata is missing"),
        ("_CHECKPOINT_METADATA", b'{"item_h', "its metadata is cut short"),
        ("params/seal.json", None, "params has no seal, or half of one"),
        ("opt_state/seal.json", b'{"_METADA', "opt_state has no seal, or half of one"),
        ("ema/_METADATA", None, "ema/_METADATA is missing"),
        ("params/_METADATA", b"short", "params/_METADATA has 5 bytes of "),
    ],
)
def test_damage_is_named(kept, name, content, damage):
    store, change = kept
    change(name, content)
    assert newest(store).step == STEPS
    assert newest(store).damage.startswith(damage)
    assert read_checkpoints(store, "")[0].damage is None


def test_a_checkpoint_in_a_bucket_counts_once_it_is_committed(written, bucket):
    upload(written / "trained" / "checkpoints", f"{bucket}/checkpoints")
    committed = blob(f"{bucket}/checkpoints/{STEPS}/commit_success.txt")
    committed.delete()
    assert [each.step for each in read_checkpoints(open_store(bucket), "checkpoints")] == [STEPS - 5]
    committed.upload_from_string("committed")
    assert [each.step for each in read_checkpoints(open_store(bucket), "checkpoints")] == [STEPS - 5, STEPS]


def test_what_a_kill_left_and_what_was_set_aside_is_no_checkpoint(scratch):
    for name in ("40.orbax-checkpoint-tmp/params/x", "30.damaged-0/params/x", "notes"):
        scratch.put(f"checkpoints/{name}", "x")
    assert read_checkpoints(scratch.store, "checkpoints") == []
