"""`mdctl logs` of what real workers kept; of pods it is in tests/cluster."""

import json

import pytest


@pytest.fixture
def trained(folder, written):
    """Let the run be one of this folder, by its name; nobody has a cluster here."""
    (folder / "outputs").mkdir()
    (folder / "outputs" / "small").symlink_to(written / "trained")
    return str(written / "trained")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def test_an_attempt_is_shown_in_words_after_its_hosts(mdctl, trained):
    shown = mdctl("logs", trained, "--attempt", "1")
    assert shown.code == 0
    assert "[0] attempt begins  attempt 1" in shown.out
    assert "[1] attempt begins  attempt 1" in shown.out
    assert "\x1b" not in shown.out


def test_the_newest_attempt_of_one_host_needs_no_marks(mdctl, trained):
    lines = mdctl("logs", trained).out.splitlines()
    assert lines[0].startswith("attempt begins  attempt 3")


def test_one_host_and_its_last_lines(mdctl, trained):
    lines = mdctl("logs", trained, "--attempt", "1", "--host", "1", "--tail", "2").out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("[1] ") for line in lines)
    assert mdctl("logs", trained, "--attempt", "1", "--since", "1s").out == ""


def test_a_job_that_is_on_no_cluster_shows_what_it_kept(mdctl, trained):
    shown = mdctl("logs", "small", "--tail", "1")
    assert shown.code == 0
    assert shown.err.startswith("no cluster to talk to: ")
    assert shown.err.endswith("; this is what it kept\n")
    assert len(shown.out.splitlines()) == 1


def test_what_is_over_is_followed_to_its_end(mdctl, trained):
    assert mdctl("logs", trained, "-f").out == mdctl("logs", trained).out


def test_for_a_program_each_line_is_an_object(mdctl, trained):
    records = [json.loads(line) for line in mdctl("logs", trained, "--attempt", "2", "-o", "json").out.splitlines()]
    assert {record["host"] for record in records} == {0, 1}
    assert records[0]["message"] == "attempt begins"
    assert [record["time"] for record in records] == sorted(record["time"] for record in records)


def test_an_attempt_that_was_not_made_is_refused_with_the_last_one(mdctl, trained):
    shown = mdctl("logs", trained, "--attempt", "7")
    assert (shown.code, shown.err) == (2, f"error: {trained} has no attempt 7; the last one is 3\n")


def test_a_name_that_means_nothing_is_refused_as_the_cluster_does(mdctl, folder):
    shown = mdctl("logs", "nothing")
    assert shown.code == 2
    assert shown.err.startswith("error: no cluster to talk to: ")


def test_a_form_that_lines_have_not_is_refused(mdctl, trained):
    shown = mdctl("logs", trained, "-o", "yaml")
    assert (shown.code, shown.err) == (2, "error: -o yaml: logs are lines; use -o table or -o json\n")
