"""Two hosts of two devices each, as real processes."""

import json
import signal

import pytest

from tests.workers import KILLER, STEPS, kill, losses, metrics, pid_of

OTHER_MESH = 1e-5
"""Relative difference of a loss on one mesh and another: sums are taken in another order."""

TWO_HOSTS = {"slice": "cpu-2x2"}


def exits(output, attempt="0001"):
    records = sorted((output / "attempts" / attempt).glob("host-*.exit.json"))
    return [json.loads(record.read_text()) for record in records]


def test_told_to_stop_hosts_save_the_same_step_and_one_host_goes_on_from_it(
    tmp_path, write_job, start, start_hosts, uninterrupted
):
    output = tmp_path / "out"
    job = write_job(tmp_path, output, **TWO_HOSTS, training={"steps": 1000, "checkpoint": {"every": 1000}})
    first, second = start_hosts(job, job)
    pid_of(second.expect("attempt begins"))
    first.expect('"step": 3')
    second.process.send_signal(signal.SIGTERM)
    assert (first.end(), second.end()) == (75, 75)
    (saved,) = {int(path.name) for path in (output / "checkpoints").iterdir()}
    assert [record["step"] for record in metrics(output)] == list(range(1, saved + 1))
    assert [end["disrupted"] for end in exits(output)] == [True, True]
    assert all(f"saved at step {saved} of 1000" in end["cause"] for end in exits(output))

    more = start("-m", "mdctl.runtime", write_job(tmp_path, output))
    more.expect(f'"from_step": {saved}')
    assert more.end() == 0
    assert [record["step"] for record in metrics(output)] == list(range(1, STEPS + 1))
    for step in range(saved + 1, saved + 6):
        assert losses(output)[step] == pytest.approx(losses(uninterrupted)[step], rel=OTHER_MESH)


def test_when_a_host_is_killed_the_others_leave_with_76(tmp_path, write_job, start_hosts):
    job = write_job(tmp_path, tmp_path / "out", **TWO_HOSTS, training={"steps": 1000})
    first, second = start_hosts(job, job)
    pid = pid_of(second.expect("attempt begins"))
    first.expect('"step": 3')
    kill(pid)
    assert (first.end(), second.end()) == (76, 137)
    codes = [end["code"] for end in exits(tmp_path / "out")]
    assert codes == [76, 137]


def test_when_the_first_host_is_killed_the_others_leave_with_76(tmp_path, write_job, start_hosts):
    job = write_job(tmp_path, tmp_path / "out", **TWO_HOSTS, training={"steps": 1000})
    first, second = start_hosts(job, job)
    pid = pid_of(first.expect("attempt begins"))
    second.expect("attempt begins")
    kill(pid)
    assert (first.end(), second.end()) == (137, 76)
    assert [end["code"] for end in exits(tmp_path / "out")] == [137, 76]


def test_hosts_with_different_specs_refuse_each_other(tmp_path, write_job, start_hosts):
    (tmp_path / "other").mkdir()
    job = write_job(tmp_path, tmp_path / "out", **TWO_HOSTS)
    other = write_job(tmp_path / "other", tmp_path / "out", **TWO_HOSTS, training={"seed": 1})
    hosts = start_hosts(job, other)
    for host in hosts:
        host.expect("host 1 has spec", "host 0 has", "submit the job again")
        assert host.end() == 2
    assert not (tmp_path / "out").exists()


def test_a_host_that_fails_tells_the_others_why_and_all_leave_with_its_code(tmp_path, write_job, start_hosts):
    job = write_job(tmp_path, tmp_path / "out", **TWO_HOSTS, training={"steps": 1000})
    first, second = start_hosts(job, job, programs=[None, (KILLER, "full-3")])
    assert (first.end(), second.end()) == (2, 2)
    told, full = exits(tmp_path / "out")
    assert "No space left on device: '/out/metrics.jsonl'; make room" in full["cause"]
    assert (told["origin"], told["cause"]) == (1, f"host 1: {full['cause']}")
