"""One worker, as a pod starts it."""

import json
import signal

import pytest

from tests.workers import ends, pid_of


def exit_of(output):
    return json.loads((output / "attempts/0001/host-0.exit.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_before_the_first_step_it_leaves_at_once_with_75(tmp_path, write_job, start, number):
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, tmp_path / "out"))
    worker.expect("attempt begins")
    worker.process.send_signal(number)
    assert worker.end() == 75
    end = exit_of(tmp_path / "out")
    assert (end["code"], end["disrupted"]) == (75, True)
    assert number.name in end["cause"]


STOPPED_WHILE_IMPORTING = """
import os, runpy, signal, sys

class Stopper:
    def find_spec(self, name, *more):
        if name == "mdctl.runtime.supervisor":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Stopper())
sys.argv = ["mdctl.runtime", sys.argv[1]]
runpy.run_module("mdctl.runtime", run_name="__main__")
"""


def test_told_to_stop_before_it_has_imported_anything_it_leaves_with_75(tmp_path, write_job, start):
    """As process 1 of a pod it would never hear of it otherwise."""
    assert start("-c", STOPPED_WHILE_IMPORTING, write_job(tmp_path, tmp_path / "out")).end() == 75
    assert not (tmp_path / "out").exists()


def test_when_nothing_happens_in_time_it_shows_all_stacks_and_leaves_with_76(tmp_path, write_job, start):
    job = write_job(tmp_path, tmp_path / "out", timeouts={"compileMinutes": 0.0001})
    worker = start("-m", "mdctl.runtime", job)
    stacks = worker.expect("stacks of all threads")
    assert "run_attempt" in stacks
    worker.expect("hung: fetching weights has not finished within 0.006 s")
    assert worker.end() == 76
    assert exit_of(tmp_path / "out")["code"] == 76
    assert "stacks of all threads" in (tmp_path / "out/attempts/0001/host-0.log.jsonl").read_text()


def test_an_output_directory_that_cannot_be_written_is_one_line_and_exit_code_2(tmp_path, write_job, start):
    (tmp_path / "file").write_text("in the way")
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, tmp_path / "file" / "out"))
    assert worker.end() == 2
    (line,) = worker.said
    assert "cannot be written: Not a directory; give it write access and room, or name another" in line
    assert "Traceback" not in line


def test_a_job_file_that_is_no_job_is_exit_code_2(tmp_path, start):
    (tmp_path / "job.yaml").write_text("kind: DiffusionJob\nspec: {task: dance}\n")
    worker = start("-m", "mdctl.runtime", tmp_path / "job.yaml")
    worker.expect("spec.task")
    assert worker.end() == 2


def test_a_job_of_a_schema_that_the_image_does_not_know_is_refused_by_name_with_exit_code_2(tmp_path, write_job, start):
    job = write_job(tmp_path, tmp_path / "out")
    job.write_text(job.read_text().replace("mdctl.dev/v1alpha1", "mdctl.dev/v1beta9"))
    worker = start("-m", "mdctl.runtime", job)
    worker.expect("apiVersion is mdctl.dev/v1beta9", "reads mdctl.dev/v1alpha1")
    assert worker.end() == 2
    assert "Traceback" not in "".join(worker.said)


def test_no_worker_outlives_its_supervisor(tmp_path, write_job, start):
    worker = start("-m", "mdctl.runtime", write_job(tmp_path, tmp_path / "out"))
    pid = pid_of(worker.expect("attempt begins"))
    worker.process.kill()
    assert ends(pid)
