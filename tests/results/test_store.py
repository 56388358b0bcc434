"""A folder and a bucket are read alike, and what cannot be read is one sentence."""

import io

import pytest
from google.api_core.exceptions import RetryError, ServiceUnavailable, Unauthorized
from google.auth.exceptions import RefreshError, TransportError

from mdctl.results.bucket import asking
from mdctl.results.opening import open_store
from mdctl.results.store import read_all, read_tail
from mdctl.spec.errors import ResultsError
from tests.buckets import blob

FILES = {"a.txt": "hello", "b/1.txt": "one", "b/deep/2.txt": "two", "bb.txt": ""}


@pytest.fixture
def filled(scratch):
    for name, content in FILES.items():
        scratch.put(name, content)
    return scratch.store


def test_files_are_listed_by_name_with_their_sizes(filled):
    assert {entry.name: entry.size for entry in filled.files()} == {name: len(text) for name, text in FILES.items()}
    assert [entry.name for entry in filled.files()] == sorted(FILES)
    assert [entry.name for entry in filled.files("b")] == ["b/1.txt", "b/deep/2.txt"]


def test_folders_are_listed_one_level_deep(filled):
    assert filled.folders() == ["b"]
    assert filled.folders("b") == ["deep"]


def test_a_folder_is_a_store_too(filled):
    inside = filled.inside("b")
    assert inside.location == f"{filled.location}/b"
    assert [entry.name for entry in inside.files()] == ["1.txt", "deep/2.txt"]
    assert inside.inside("deep").read("2.txt") == b"two"


def test_a_file_is_read_whole_or_from_an_offset(filled):
    assert filled.read("a.txt") == b"hello"
    assert filled.read("a.txt", 2) == b"llo"
    assert filled.read("a.txt", 5) == filled.read("a.txt", 50) == b""
    assert filled.read("bb.txt") == b""


def test_a_file_is_handed_over_in_pieces(filled):
    sink = io.BytesIO()
    filled.fetch("a.txt", sink)
    assert sink.getvalue() == b"hello"


def test_one_file_is_found_with_its_time(filled):
    found = filled.find("b/1.txt")
    assert (found.name, found.size) == ("b/1.txt", 3)
    assert found.modified > 1.7e9


def test_what_is_not_there_is_none(filled):
    assert filled.find("none") is filled.read("none") is filled.crc32c("none") is None
    assert filled.find("b") is None
    assert filled.read("a.txt/none") is None
    assert filled.files("none") == filled.folders("none") == filled.files("a.txt") == []


def test_a_file_that_has_gone_is_one_sentence(filled):
    with pytest.raises(ResultsError, match=r"none (cannot be read: No such file|went away while it was read)"):
        filled.fetch("none", io.BytesIO())


def test_checksums_are_those_that_cloud_storage_keeps(filled):
    assert filled.crc32c("a.txt") == "mnG7TA=="


def test_many_files_are_read_at_once(filled):
    assert read_all(filled, ["a.txt", "none", "b/1.txt"]) == {"a.txt": b"hello", "b/1.txt": b"one"}


@pytest.mark.parametrize(("size", "tail"), [(100, b"1\n22\n333\n"), (8, b"22\n333\n"), (5, b"333\n"), (2, b"")])
def test_the_tail_of_a_file_begins_with_a_whole_line(scratch, size, tail):
    scratch.put("lines", "1\n22\n333\n")
    assert read_tail(scratch.store, scratch.store.find("lines"), size) == tail


def test_names_that_lead_out_of_the_folder_are_no_files(bucket):
    for name in ("run/../secret", "run//x", "run/", "run/ok"):
        blob(f"{bucket}/{name}").upload_from_string("")
    assert [entry.name for entry in open_store(bucket).files()] == ["run/ok"]
    assert open_store(f"{bucket}/").folders() == ["run"]


@pytest.mark.parametrize("location", ["s3://bucket/run", "hf://org/name"])
def test_other_places_are_refused(location):
    with pytest.raises(ResultsError, match=f"{location!r} is neither a folder nor gs://bucket/path"):
        open_store(location)


def test_a_bucket_needs_a_name():
    with pytest.raises(ResultsError, match="names no bucket; write gs://bucket/path"):
        open_store("gs:///path")


def test_a_folder_is_read_from_inside_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a").write_text("a")
    for location in (".", "./", ".hidden/.."):
        assert [entry.name for entry in open_store(location).files()] == [".hidden/a"]
        assert [entry.name for entry in open_store(location).files(".hidden")] == [".hidden/a"]


def test_home_is_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_text("a")
    assert open_store("~").read("a") == b"a"


def test_a_path_that_no_file_can_have_is_one_sentence(tmp_path):
    with pytest.raises(ResultsError, match="cannot be read: File name too long; allow it, or name another"):
        open_store(str(tmp_path / ("x" * 300))).read("job.yaml")


def test_a_bucket_that_is_not_there_is_one_sentence(buckets):
    with pytest.raises(ResultsError, match="gs://nobodys-bucket/run: there is no such bucket; check its name"):
        open_store("gs://nobodys-bucket/run").files()


READS = {
    "files": lambda store: store.files(),
    "folders": lambda store: store.folders(),
    "find": lambda store: store.find("job.yaml"),
    "read": lambda store: store.read("job.yaml"),
    "fetch": lambda store: store.fetch("job.yaml", io.BytesIO()),
    "crc32c": lambda store: store.crc32c("job.yaml"),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_bucket_that_may_not_be_read_is_one_sentence(refusing, read):
    refusing(403, "you@example.org does not have storage.objects.list access.")
    with pytest.raises(ResultsError) as error:
        read(open_store("gs://theirs/run"))
    said = str(error.value)
    assert said.startswith("gs://theirs/run: you may not read it: ")
    assert "ask for the role Storage Object Viewer on the bucket" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Unauthorized("Invalid Credentials"), "your credentials are refused: Invalid Credentials; log in with `gcloud"),
        (RefreshError("Reauthentication is needed."), "cannot log in: Reauthentication is needed; log in again with"),
        (TransportError("no route"), "does not answer: no route; check the network, then try again"),
        (RetryError("Timeout of 15 s", cause=ServiceUnavailable("busy")), "does not answer: busy; check the network"),
    ],
)
def test_what_goes_wrong_with_real_credentials_is_one_sentence(error, says):
    with pytest.raises(ResultsError, match=says), asking("gs://theirs/run"):
        raise error


def test_a_server_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setattr("mdctl.results.bucket.PATIENT", {"timeout": 1.0, "retry": None})
    with pytest.raises(ResultsError, match=r"gs://b/run does not answer: .*refused.*; check the network, then try"):
        open_store("gs://b/run").files()


def test_without_credentials_it_says_how_to_log_in(monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(ResultsError, match="there are no Google Cloud credentials here; log in with `gcloud auth"):
        open_store("gs://b/run")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(ResultsError, match=r"CREDENTIALS names .*key.json, which is no key: .*not found; log in"):
        open_store("gs://b/run")
