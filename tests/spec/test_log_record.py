import json

import pytest

from mdctl.spec.log_record import words


def test_records_of_the_log_become_words():
    record = {"time": 1.5, "level": "info", "host": 1, "message": "trained", "step": 40, "loss": [0.123456, 2]}
    assert words(json.dumps(record)) == "trained  step 40  loss 0.1235 2"
    warning = {"level": "warning", "message": "a clip is unreadable", "traceback": "Traceback: ..."}
    assert words(json.dumps(warning)) == "warning: a clip is unreadable\nTraceback: ..."


@pytest.mark.parametrize("line", ["", "plain text", "12", '["message"]', '{"not": "a record"}', '{"cut'])
def test_other_lines_stay_as_they_are(line):
    assert words(line) == line
