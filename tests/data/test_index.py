import logging
from pathlib import Path

import pytest

from mdctl.data import index as indexing
from mdctl.data.cache import Cache
from mdctl.data.index import Index, index_folder, read_clip
from mdctl.data.video import Decoding
from mdctl.spec.errors import DataError
from mdctl.spec.shapes import PixelShape
from tests.data.conftest import WriteClip

DECODING = Decoding(PixelShape(5, 16, 16), 16)


def index(tmp_path: Path) -> Index:
    return index_folder(str(tmp_path / "clips"), DECODING, Cache(str(tmp_path / "cache")))


def test_sound_clips_are_indexed_by_name(tmp_path: Path, write_clip: WriteClip) -> None:
    for number, name in enumerate(("b", "a", "z/c")):
        write_clip(tmp_path / "clips" / f"{name}.mp4", f"caption of {name}", ground=50 * number)
    found = index(tmp_path)
    assert [(clip.name, clip.caption) for clip in found.clips] == [
        ("a.mp4", "caption of a"),
        ("b.mp4", "caption of b"),
        ("z/c.mp4", "caption of z/c"),
    ]
    assert len({clip.content for clip in found.clips}) == 3
    assert not found.dropped


@pytest.fixture
def faulty(tmp_path: Path, write_clip: WriteClip) -> Path:
    """Two sound clips, and one with each fault."""
    clips = tmp_path / "clips"
    for name in ("good", "better"):
        write_clip(clips / f"{name}.mp4", ground=len(name))
    write_clip(clips / "short.mp4", num_frames=3)
    write_clip(clips / "uncaptioned.mp4", caption=None)
    write_clip(clips / "empty.mp4").write_bytes(b"")
    corrupt = write_clip(clips / "corrupt.mp4")
    corrupt.write_bytes(corrupt.read_bytes()[:300])
    write_clip(clips / "latin.mp4").with_suffix(".txt").write_bytes(b"caf\xe9")
    return clips


def test_faulty_clips_are_dropped_with_one_warning(
    tmp_path: Path, faulty: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = index(tmp_path)
    assert [clip.name for clip in found.clips] == ["better.mp4", "good.mp4"]
    assert [line.partition(": ")[0] for line in found.dropped] == [
        f"{name}.mp4" for name in ("corrupt", "empty", "latin", "short", "uncaptioned")
    ]
    (record,) = caplog.records
    assert "5 of 7 clips are left out" in record.getMessage()
    assert all(line in record.getMessage() for line in found.dropped)


def test_faults_do_not_show_in_what_remains(tmp_path: Path, faulty: Path) -> None:
    before = index(tmp_path)
    for line in before.dropped:
        (faulty / line.partition(": ")[0]).unlink()
    after = index(tmp_path)
    assert (after.clips, after.fingerprint) == (before.clips, before.fingerprint)


def test_a_clip_is_decoded_once_per_content(
    tmp_path: Path, write_clip: WriteClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "clips" / "a.mp4")
    write_clip(tmp_path / "clips" / "short.mp4", num_frames=2)
    first = index(tmp_path)
    (tmp_path / "clips" / "a.mp4").rename(tmp_path / "clips" / "b.mp4")
    (tmp_path / "clips" / "a.txt").rename(tmp_path / "clips" / "b.txt")
    monkeypatch.setattr(indexing, "decode", lambda *_: pytest.fail("decoded again"))
    second = index(tmp_path)
    assert [clip.name for clip in second.clips] == ["b.mp4"]
    assert second.dropped == first.dropped


def test_nothing_usable_is_an_error_of_one_screen(tmp_path: Path, write_clip: WriteClip) -> None:
    for number in range(30):
        write_clip(tmp_path / "clips" / f"{number:02}.mp4", num_frames=1)
    with pytest.raises(DataError) as caught:
        index(tmp_path)
    message = str(caught.value)
    assert "none of its 30 clips can be used" in message
    assert "00.mp4: too short: 1 of 5 frames" in message
    assert "and 20 more" in message
    assert len(message.splitlines()) < 20


def test_a_folder_without_any_caption_says_how_to_give_one(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "clips" / "a.mp4", caption=None)
    with pytest.raises(DataError, match=r"Mend or replace them, or give all of them one caption, data\.caption\."):
        index(tmp_path)
    found = index_folder(str(tmp_path / "clips"), DECODING, Cache(str(tmp_path / "cache")), "a film")
    assert [clip.caption for clip in found.clips] == ["a film"]


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    with pytest.raises(DataError, match=r"holds no clips\. Put videos or images there"):
        index(tmp_path)


def test_held_out_contents_are_never_trained_on(tmp_path: Path, write_clip: WriteClip) -> None:
    for number in range(6):
        write_clip(tmp_path / "clips" / f"{number}.mp4", ground=10 * (number // 2))
    found = index(tmp_path)
    training, held_out = found.split(1)
    assert (len(training), len(held_out)) == (4, 2)
    assert not {clip.content for clip in training} & {clip.content for clip in held_out}
    assert found.split(0) == (found.clips, ())
    with pytest.raises(DataError, match="holding out 3 of 3 different clips"):
        found.split(3)


def test_a_clip_that_changes_is_noticed(tmp_path: Path, write_clip: WriteClip) -> None:
    path = write_clip(tmp_path / "clips" / "a.mp4")
    found = index(tmp_path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DataError, match=r"a\.mp4 changed or went away while the job ran"):
        read_clip(found.folder, found.clips[0])
    path.unlink()
    with pytest.raises(DataError, match=r"a\.mp4 changed or went away"):
        read_clip(found.folder, found.clips[0])
