import io
import json
import logging
import sys
import threading
import warnings

import pytest
from etils import epath
from rich.console import Console

from mdctl.runtime.log import fields, flush_log, log_to, shared, start_log
from mdctl.storage.lines import open_lines, read_lines

logger = logging.getLogger("mdctl.test")


@pytest.fixture(autouse=True)
def logging_as_before():
    root, ours = logging.getLogger(), logging.getLogger("mdctl")
    before = root.handlers[:], root.level, ours.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.raiseExceptions = True
    logging.captureWarnings(False)
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def lines(tmp_path):
    return open_lines(epath.Path(tmp_path) / "log.jsonl", lambda record: True)


def kept(tmp_path):
    flush_log()
    return list(read_lines(epath.Path(tmp_path) / "log.jsonl"))


def test_a_pod_gets_json_lines(capsys):
    start_log(3, Console(file=io.StringIO()))
    logger.info("trained", extra=fields(step=4, loss=0.5))
    record = json.loads(capsys.readouterr().out)
    assert record.pop("time") > 0
    assert record == {"level": "info", "host": 3, "message": "trained", "step": 4, "loss": 0.5}


def test_a_terminal_gets_words():
    screen = io.StringIO()
    start_log(0, Console(file=screen, force_terminal=True, width=80, color_system=None))
    logger.info("trained", extra=fields(step=4, loss=0.51239, losses=[0.5, 1]))
    logger.warning("a clip is unreadable")
    assert screen.getvalue() == "trained  step 4  loss 0.5124  losses 0.5 1\nwarning: a clip is unreadable\n"


def test_what_all_hosts_say_alike_only_the_first_says_aloud(capsys, lines, tmp_path):
    start_log(1, Console(file=io.StringIO()))
    log_to(lines, 1)
    logger.info("trained", extra=shared(step=4))
    assert capsys.readouterr().out == ""
    assert [record["step"] for record in kept(tmp_path)] == [4]


def test_the_file_has_what_was_said_before_it_was_there(capsys, lines, tmp_path):
    start_log(0, Console(file=io.StringIO()))
    logger.warning("damaged")
    log_to(lines, 0)
    logger.info("begun")
    assert [record["message"] for record in kept(tmp_path)] == ["damaged", "begun"]


def test_other_libraries_go_to_the_file_alone(capsys, lines, tmp_path):
    start_log(0, Console(file=io.StringIO()))
    log_to(lines, 0)
    logging.getLogger("absl").warning("slow")
    logging.getLogger("absl").info("chatter")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("deprecated", stacklevel=1)
    assert capsys.readouterr().out == ""
    (slow, deprecated) = kept(tmp_path)
    assert (slow["logger"], slow["message"]) == ("absl", "slow")
    assert "deprecated" in deprecated["message"]


def test_what_other_threads_raise_goes_to_the_file_alone(capsys, lines, tmp_path):
    start_log(0, Console(file=io.StringIO()))
    log_to(lines, 0)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert capsys.readouterr() == ("", "")
    (record,) = kept(tmp_path)
    assert record["message"] == "in a thread"
    assert "ZeroDivisionError" in record["traceback"]


def test_a_log_that_cannot_be_written_stops_nothing(capsys, lines, tmp_path):
    start_log(0, Console(file=io.StringIO()))
    log_to(lines, 0)
    (tmp_path / "log.jsonl").unlink()
    (tmp_path / "log.jsonl").mkdir()
    logger.info("still here")
    assert "still here" in capsys.readouterr().out


def test_a_crash_keeps_its_traceback(capsys):
    start_log(0, Console(file=io.StringIO()))
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        logger.error("it broke", exc_info=error)
    record = json.loads(capsys.readouterr().out)
    assert "ZeroDivisionError: division by zero" in record["traceback"]
