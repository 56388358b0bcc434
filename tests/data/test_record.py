from dataclasses import replace
from pathlib import Path

import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from mdctl.data.index import Clip, Index
from mdctl.data.record import Record, pinned, read_record, write_record
from mdctl.spec.errors import DataError
from tests.buckets import names_in

CLIPS = tuple(Clip(f"{name}.mp4", f"clip {name}", f"{number:064x}") for number, name in enumerate("abcd"))


def index(*clips: Clip, dropped: tuple[str, ...] = ()) -> Index:
    return Index("clips", tuple(sorted(clips, key=lambda clip: (clip.name, clip.caption))), dropped)


def message(found: Index, recorded: tuple[Clip, ...] = CLIPS) -> str:
    with pytest.raises(DataError) as caught:
        pinned(found, recorded)
    return str(caught.value)


clips = st.builds(Clip, st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from("01"))


@given(recorded=st.lists(clips, min_size=1), added=st.lists(clips), num_held_out=st.integers(0, 1))
def test_clips_that_were_added_change_nothing(recorded: list[Clip], added: list[Clip], num_held_out: int) -> None:
    before = index(*recorded)
    after = pinned(index(*recorded, *added), before.clips)
    assert (after.clips, after.fingerprint) == (before.clips, before.fingerprint)
    if len({clip.content for clip in recorded}) > num_held_out:
        assert after.split(num_held_out) == before.split(num_held_out)


@given(recorded=st.lists(clips, min_size=1), data=st.data())
def test_a_clip_less_is_an_error_whatever_was_added(recorded: list[Clip], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(recorded))
    added = data.draw(st.lists(clips.filter(lambda clip: clip != lost)))
    found = [*recorded, *added]
    found.remove(lost)
    assert f"1 of the {len(recorded)} clips" in message(index(*found), tuple(recorded))


def test_a_clip_that_is_gone_is_named_with_the_way_out() -> None:
    assert message(index(*CLIPS[:2], *CLIPS[3:])) == (
        "data set clips: 1 of the 4 clips that this run began with are not what they were:\n"
        "  c.mp4: gone\n"
        "Put them back, or name another output directory to start afresh with the clips that are there now."
    )


def test_a_clip_that_changed_is_named_with_both_contents_or_captions() -> None:
    other_content = replace(CLIPS[1], content="f" * 64)
    other_caption = replace(CLIPS[2], caption="another")
    said = message(index(CLIPS[0], other_content, other_caption, CLIPS[3]))
    assert "2 of the 4 clips" in said
    assert "  b.mp4: its content has the digest ffffffffffff, had 000000000000\n" in said
    assert "  c.mp4: its caption is 'another', was 'clip c'\n" in said


def test_a_clip_that_can_no_longer_be_used_is_named_with_the_reason() -> None:
    said = message(index(*CLIPS[1:], dropped=("a.mp4: too short: 3 of 5 frames",)))
    assert "  a.mp4: too short: 3 of 5 frames\n" in said


def test_many_changes_fit_on_a_screen() -> None:
    recorded = tuple(replace(CLIPS[0], name=f"{number}.mp4") for number in range(30))
    said = message(index(CLIPS[0]), recorded)
    assert "  and 20 more\n" in said
    assert len(said.splitlines()) < 20


def test_a_record_comes_back(tmp_path: Path) -> None:
    path, record = epath.Path(tmp_path / "data.json"), Record((*CLIPS, Clip("é/ü.mp4", "日本", "0")), 3)
    write_record(path, record)
    assert read_record(path) == record
    assert [each.name for each in tmp_path.iterdir()] == ["data.json"]


def test_a_record_comes_back_from_a_bucket(bucket: str) -> None:
    path, records = epath.Path(f"{bucket}/out/data.json"), [Record(CLIPS[:number], 1) for number in (2, 4)]
    for record in records:
        write_record(path, record)
        assert read_record(path) == record
    assert names_in(f"{bucket}/out") == ["data.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"clips": [{"title": ""}], "num_held_out": 0}'])
def test_a_record_that_is_none_is_an_error(tmp_path: Path, content: str) -> None:
    path = epath.Path(tmp_path / "data.json")
    path.write_text(content)
    with pytest.raises(DataError, match=r"data\.json, which says what this run trains on, is damaged"):
        read_record(path)
