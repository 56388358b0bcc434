import json

import pytest
from etils import epath

from mdctl.spec.errors import OutputError
from mdctl.storage.lines import LocalLines, RemoteLines, open_lines, read_lines


@pytest.fixture
def path(tmp_path):
    return epath.Path(tmp_path) / "metrics.jsonl"


def everything(record):
    return True


@pytest.mark.parametrize("kind", [LocalLines, RemoteLines])
def test_records_come_back_in_order(path, kind):
    lines = kind(path, [{"step": 1}])
    lines.write({"step": 2, "loss": 0.5})
    lines.flush()
    assert list(read_lines(path)) == [{"step": 1}, {"step": 2, "loss": 0.5}]


def test_a_local_record_is_there_before_any_flush(path):
    open_lines(path, everything).write({"step": 1})
    assert list(read_lines(path)) == [{"step": 1}]


def test_opening_again_keeps_what_is_wanted_and_drops_a_line_that_a_kill_cut_short(path):
    whole = "".join(json.dumps({"step": step}) + "\n" for step in range(1, 6))
    path.write_text(whole + '{"step": 6, "lo')
    lines = open_lines(path, lambda record: record["step"] <= 4)
    lines.write({"step": 5})
    assert [record["step"] for record in read_lines(path)] == [1, 2, 3, 4, 5]
    assert path.read_text().count("\n") == 5


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match=r"file/metrics.jsonl cannot be written: Not a directory; make room"):
        open_lines(epath.Path(tmp_path) / "file" / "metrics.jsonl", everything)


def test_numbers_that_json_does_not_have_are_refused(path):
    with pytest.raises(ValueError, match="Out of range float"):
        open_lines(path, everything).write({"loss": float("nan")})
