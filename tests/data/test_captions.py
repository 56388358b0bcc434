import json
from pathlib import Path

import pytest
from etils import epath

from mdctl.data.captions import Listed, listed_clips
from mdctl.spec.errors import DataError


def make(folder: Path, **files: str | bytes) -> epath.Path:
    """Write files; in their names `__` is a slash and `_` a full stop."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return epath.Path(folder)


def test_sidecars_name_clips_by_their_path(tmp_path: Path) -> None:
    folder = make(tmp_path, b_mp4="", b_txt=" two\n words ", a__c_PNG="", a__c_txt="an image", notes_txt="no clip")
    assert listed_clips(folder) == [Listed("a/c.PNG", "an image"), Listed("b.mp4", "two words")]


def test_a_clip_without_a_usable_sidecar_has_a_fault(tmp_path: Path) -> None:
    folder = make(tmp_path, a_mp4="", b_mp4="", b_txt="  \n", c_mp4="", c_txt="caf\xe9".encode("latin-1"))
    faults = {clip.name: clip.fault for clip in listed_clips(folder)}
    assert faults["a.mp4"] == "no caption: a.txt is missing"
    assert faults["b.mp4"] == "no caption: b.txt is empty"
    assert "byte 3 is not UTF-8" in str(faults["c.mp4"])


def test_a_byte_order_mark_is_no_part_of_a_caption(tmp_path: Path) -> None:
    folder = make(tmp_path, a_mp4="", a_txt="été".encode("utf-8-sig"))
    assert listed_clips(folder) == [Listed("a.mp4", "été")]


def test_unfinished_and_hidden_files_are_no_clips(tmp_path: Path) -> None:
    folder = make(tmp_path, _b_mp4="", a_mp4="", a_txt="a")
    (tmp_path / "folder.mp4").mkdir()
    assert [clip.name for clip in listed_clips(folder)] == ["a.mp4"]


ROWS = [{"file_name": "z/b.mp4", "text": "of b"}, {"file_name": "a.mp4", "text": 'a "quoted", one', "extra": 1}]


def test_lists_name_clips_and_captions(tmp_path: Path) -> None:
    lines = "\n\n".join(json.dumps(row) for row in ROWS)
    table = 'text,file_name\nof b,z/b.mp4\n"a ""quoted"", one",a.mp4\n'
    for name, content in (("metadata_jsonl", lines), ("metadata_csv", table)):
        folder = make(tmp_path / name, **{name: content, "a_mp4": "", "z__b_mp4": "", "unlisted_mp4": ""})
        assert listed_clips(folder) == [Listed("a.mp4", 'a "quoted", one'), Listed("z/b.mp4", "of b")]


def test_a_listed_clip_that_is_missing_or_uncaptioned_has_a_fault(tmp_path: Path) -> None:
    folder = make(tmp_path, metadata_csv="file_name,text\ngone.mp4,words\na.mp4,\nb.mp4\n", a_mp4="", b_mp4="")
    assert {clip.name: clip.fault for clip in listed_clips(folder)} == {
        "a.mp4": "no caption: its text in metadata.csv is empty",
        "b.mp4": "no caption: its text in metadata.csv is empty",
        "gone.mp4": "no such file",
    }


def test_one_caption_is_that_of_every_clip_without_one(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", a_png="", b_png="", b_txt=" \n", c_png="", c_txt="its own")
    assert listed_clips(folder, caption="a photo of  sks dog") == [
        Listed("a.png", "a photo of sks dog"),
        Listed("b.png", "a photo of sks dog"),
        Listed("c.png", "its own"),
    ]
    faulty = make(tmp_path / "b", a_png="", a_txt=b"caf\xe9", metadata_csv="file_name\na.png\ngone.png\n")
    assert listed_clips(faulty, caption="a dog") == [Listed("a.png", "a dog"), Listed("gone.png", fault="no such file")]
    (tmp_path / "b/metadata.csv").unlink()
    (unreadable,) = listed_clips(faulty, caption="a dog")
    assert "byte 3 is not UTF-8" in str(unreadable.fault)
    rows = '{"file_name": "a.png"}\n{"file_name": "b.png", "text": ""}\n{"file_name": "c.png", "text": "its own"}\n'
    (tmp_path / "a/metadata.jsonl").write_text(rows)
    assert [clip.caption for clip in listed_clips(folder, caption="a dog")] == ["a dog", "a dog", "its own"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata_csv", "", "no column 'file_name'; its first line names none"),
        ("metadata_csv", "path,text\na.mp4,b\n", "no column 'file_name'; its first line names 'path', 'text'"),
        ("metadata_csv", "file_name,caption\na.mp4,b\n", "no column 'text'"),
        ("metadata_csv", 'file_name,text\n"a.mp4,b\n', "after line 1: no CSV"),
        ("metadata_csv", b"file_name,text\na.mp4,\xff\n", "byte 21 is not UTF-8"),
        ("metadata_csv", "file_name,text\na.doc,b\n", "line 2: file_name 'a.doc' names no video or image"),
        ("metadata_jsonl", '{"file_name": "a.mp4", "text": "b"}\n{"file_name', "line 2: no JSON"),
        ("metadata_jsonl", "[1]", "line 1: '[1]' is not a JSON object"),
        ("metadata_jsonl", '{"file": "a.mp4"}', "line 1: no 'file_name' among 'file'"),
        ("metadata_jsonl", '{"file_name": 3, "text": "b"}', "file_name 3 names no video"),
        ("metadata_jsonl", b"\xff\xfe", "byte 0 is not UTF-8"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    folder = make(tmp_path, **{name: content, "a_mp4": ""})
    with pytest.raises(DataError) as caught:
        listed_clips(folder)
    assert message in str(caught.value)
    assert name.replace("_", ".") in str(caught.value)


def test_two_lists_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"both metadata.jsonl and metadata.csv"):
        listed_clips(make(tmp_path, metadata_csv="", metadata_jsonl=""))


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        listed_clips(epath.Path(tmp_path / "absent"))
