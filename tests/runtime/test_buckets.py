"""A worker whose output directory and weights are at `gs://`."""

import json

import pytest

from tests.buckets import blob, names_in, upload
from tests.workers import KILLER, STEPS, losses


def records(location):
    return [json.loads(line) for line in blob(location).download_as_text().splitlines()]


@pytest.fixture
def job(bucket, tmp_path, write_job, repository):
    upload(repository, f"{bucket}/weights")
    return write_job(tmp_path, f"{bucket}/run", model={"weights": f"{bucket}/weights"})


def test_a_run_that_is_killed_goes_on_from_its_bucket(bucket, tmp_path, job, start, uninterrupted):
    cache = {"MDCTL_CACHE": str(tmp_path / "cache")}
    assert start(KILLER, "seal-10", job, **cache).end() == -9
    assert not any(name.startswith("10/commit") for name in names_in(f"{bucket}/run/checkpoints"))
    worker = start("-m", "mdctl.runtime", job, **cache)
    worker.expect('"from_step": 5')
    assert worker.end() == 0, "".join(worker.said)
    kept = records(f"{bucket}/run/metrics.jsonl")
    assert [record["step"] for record in kept] == list(range(1, STEPS + 1))
    assert {record["step"]: record["loss"] for record in kept} == losses(uninterrupted)
    steps = {name.partition("/")[0] for name in names_in(f"{bucket}/run/checkpoints")}
    assert steps == {str(STEPS - 5), str(STEPS)}
    (end,) = records(f"{bucket}/run/attempts/0002/host-0.exit.json")
    assert end["code"] == 0
    logged = [record["message"] for record in records(f"{bucket}/run/attempts/0002/host-0.log.jsonl")]
    assert logged[0] == "attempt begins"
    assert "trained" in logged
