import pytest

from mdctl.spec import outputs


def test_attempts_have_numbers_that_sort_as_names_do():
    assert outputs.attempt_folder(3) == "attempts/0003"
    names = ("0003", "12345", "notes", "", "³")
    assert [outputs.attempt_number(name) for name in names] == [3, 12345, None, None, None]


@pytest.mark.parametrize("host", [0, 7, 1535])
def test_a_hosts_files_say_whose_they_are(host):
    assert outputs.host_of(outputs.host_log(host)) == outputs.host_of(outputs.host_exit(host)) == host


@pytest.mark.parametrize("name", ["attempt.json", "host-.exit.json", "host-1.exit.json.new", ".host-1.log.jsonl.new"])
def test_other_files_are_no_hosts(name):
    assert outputs.host_of(name) is None


def test_evaluations_have_their_step():
    assert outputs.evaluated_step(outputs.evaluation_folder(500)) == 500
    assert outputs.evaluated_step("samples") is None
