"""`mdctl status` and `mdctl list` of what real workers kept; of what is on a cluster it is in tests/cluster."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from mdctl.cli.description import live_row
from mdctl.cli.list import _rows
from mdctl.cli.records import all_records, outcome_of, read_records
from mdctl.cluster.state import summarise
from mdctl.results.cancellation import read_cancellation, write_cancellation
from mdctl.results.jobs import recorded_jobs
from mdctl.results.opening import open_store
from tests.cluster.record import load_snapshot
from tests.workers import STEPS


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


@pytest.fixture
def trained(folder, written):
    """Let the run be one of this folder, by its name."""
    (folder / "outputs").mkdir()
    (folder / "outputs" / "small").symlink_to(written / "trained")
    return str(written / "trained")


def test_a_directory_tells_of_its_job(mdctl, trained):
    shown = mdctl("status", trained)
    assert shown.code == 0
    facts = dict(line.split(maxsplit=1) for line in shown.out.partition("\n\n")[0].splitlines())
    assert (facts["name"], facts["phase"], facts["model"]) == ("small", "Completed", "wan2.1-t2v-tiny")
    assert facts["progress"].startswith(f"step {STEPS} of ")
    assert "\nattempts\n  NAME  STATE" in shown.out


def test_a_job_that_is_on_no_cluster_is_told_of_by_what_it_kept(mdctl, trained):
    shown = mdctl("status", "small", "-o", "json")
    assert shown.err.startswith("no cluster to talk to: ")
    assert shown.err.endswith("; this is what it kept\n")
    found = json.loads(shown.out)
    assert [row["name"] for row in found["attempts"]] == [1, 2, 3]
    assert (found["phase"], found["failure"]) == ("Completed", None)


def test_one_that_failed_shows_its_host_and_last_lines(mdctl, folder, written):
    found = json.loads(mdctl("status", str(written / "mistaken"), "-o", "json").out)
    assert found["phase"] == "Failed"
    assert "No space left on device" in found["failure"]["meaning"]
    assert found["failure"]["said"].startswith("host ")
    assert found["failure"]["lines"]


def test_a_directory_in_which_no_job_wrote_is_refused(mdctl, folder):
    shown = mdctl("status", "./nothing")
    assert (shown.code, shown.out) == (2, "")
    assert "no job has written there; check the name" in shown.err


def test_a_name_that_means_nothing_is_refused_as_the_cluster_does(mdctl, folder):
    shown = mdctl("status", "nothing")
    assert shown.code == 2
    assert shown.err.startswith("error: no cluster to talk to: ")


def test_jobs_that_left_the_cluster_are_listed_beside_those_on_it(written):
    snapshot = load_snapshot("running")
    rows = list(_rows([snapshot], recorded_jobs(str(written))))
    [trial] = [row for row in rows if row["name"] == "trial"]
    assert (trial["phase"], trial["hosts"], trial["progress"]) == ("Running", "2/2", None)
    kept = {(row["name"], row["phase"], row["progress"]) for row in rows if row["hosts"] is None}
    assert ("generate-wan", "Completed", "2/2") in kept
    assert {("small", "Completed"), ("small", "Failed")} <= {row[:2] for row in kept}


def test_a_job_on_the_cluster_shows_how_far_it_has_written(written):
    record = read_records(str(written / "trained")).job
    snapshot = load_snapshot("running")
    row = live_row(snapshot, summarise(snapshot), record, datetime.now(UTC))
    assert row["progress"] == f"{STEPS}/{record.progress.wanted}"


def test_the_newest_job_comes_first(written):
    old, new = load_snapshot("running"), load_snapshot("completed")
    old.jobset["metadata"] |= {"name": "old", "creationTimestamp": "2020-01-01T00:00:00Z"}
    later = datetime.now(UTC) + timedelta(days=1)
    new.jobset["metadata"] |= {"name": "new", "creationTimestamp": later.isoformat()}
    names = [row["name"] for row in _rows([old, new], recorded_jobs(str(written)))]
    assert (names[0], names[-1]) == ("new", "old")


@pytest.fixture
def stopped(written, tmp_path):
    """Return a copy of a run whose newest attempt has not ended."""
    copy = tmp_path / "copy"
    shutil.copytree(written / "trained", copy)
    for path in copy.glob("attempts/0003/host-*.exit.json"):
        path.unlink()
    attempt = copy / "attempts/0003/attempt.json"
    attempt.write_text(json.dumps(json.loads(attempt.read_text()) | {"run": "run-1"}))
    return copy


def cancelled(copy, **facts):
    (copy / "cancelled.json").write_text(json.dumps(facts))
    return outcome_of(read_records(str(copy)).job)


def test_one_that_was_cancelled_is_told_from_one_that_went_otherwise(stopped):
    record = read_records(str(stopped)).job
    began = record.attempts.newest[0].began
    assert outcome_of(record).phase == "Gone"
    assert cancelled(stopped, run="run-0", time=began - 1).phase == "Gone"  # an earlier one, after which it went on
    assert cancelled(stopped, run="run-1", time=began - 1).phase == "Cancelled"  # clocks differ
    assert cancelled(stopped, run="run-2", time=began + 1).phase == "Cancelled"  # a later one, which never began
    assert cancelled(stopped, run="run-1").phase == "Gone"  # what a kill cut short


def test_one_that_was_cancelled_after_a_failure_is_cancelled(written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written / "mistaken", copy)
    record = read_records(str(copy)).job
    assert outcome_of(record).phase == "Failed"
    write_cancellation(open_store(str(copy)), record.attempts.newest[0].run)
    assert outcome_of(record).phase == "Cancelled"


def test_one_that_was_done_before_it_could_be_cancelled_is_done(written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written / "trained", copy)
    assert cancelled(copy, run="trained", time=0).phase == "Completed"


@pytest.mark.parametrize("by", ["jane@example.com", None])
def test_who_cancelled_it_and_when_is_shown(mdctl, folder, stopped, by):
    words = f"cancelled by {by}, " if by else "cancelled, "
    write_cancellation(open_store(str(stopped)), "run-1", by)
    found = read_cancellation(open_store(str(stopped)))
    facts = dict(line.split(maxsplit=1) for line in mdctl("status", str(stopped)).out.partition("\n\n")[0].splitlines())
    assert (facts["phase"], facts["reason"].startswith(words)) == ("Cancelled", True)
    shown = json.loads(mdctl("status", str(stopped), "-o", "json").out)["cancelled"]
    assert shown == {"by": by, "time": datetime.fromtimestamp(found.time, UTC).isoformat(), "run": "run-1"}


def test_an_output_directory_that_cannot_be_read_is_a_problem_and_no_failure(mdctl, folder):
    mdctl("config", "set", "output_dir", "s3://bucket/runs")
    mdctl("config", "set", "output_dir", "gs://bucket/runs")
    records, problem = all_records()
    assert records == []
    assert "gs://bucket/runs: " in problem
