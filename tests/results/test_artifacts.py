import json

import pytest

from mdctl.results.artifacts import find_artifacts, job_record
from mdctl.results.kinds import Kind
from mdctl.results.opening import open_store
from tests.workers import STEPS

LOGS = ["attempts/0001", "attempts/0002", "attempts/0003"]


def names(found):
    return [artifact.name for artifact in found]


def test_what_a_training_job_made_is_found(trained):
    found = find_artifacts(trained)
    steps = [f"checkpoints/{STEPS - 5}", f"checkpoints/{STEPS}"]
    assert names(found) == [*steps, "published", "metrics.jsonl", *LOGS]
    kinds = [*[Kind.CHECKPOINT] * 2, Kind.MODEL, Kind.METRICS, *[Kind.LOG] * 3]
    assert [artifact.kind for artifact in found] == kinds
    assert [artifact.step for artifact in found[:4]] == [STEPS - 5, STEPS, STEPS, None]
    assert found[1].location == f"{trained.location}/checkpoints/{STEPS}"
    assert found[1].size == sum(entry.size for entry in trained.files(f"checkpoints/{STEPS}")) > 100_000
    assert {entry.name for entry in found[-1].files} == {
        f"attempts/0003/{name}" for name in ("attempt.json", "host-0.log.jsonl", "host-0.exit.json")
    }
    assert all(artifact.modified > 1.7e9 and artifact.damage is None for artifact in found)


def test_what_a_generating_job_made_is_found(generated):
    found = find_artifacts(generated, [Kind.VIDEO, Kind.IMAGE])
    assert [name.rpartition("-")[0] for name in names(found)] == [
        "samples/0000-waves-on-the-left",
        "samples/0001-waves-on-the-right",
    ]
    for artifact in found:
        video, record = artifact.files
        assert json.loads(generated.read(record.name))["file"] == video.name.rpartition("/")[2]
    assert names(find_artifacts(generated, [Kind.METRICS])) == ["samples/manifest.jsonl"]


def test_only_the_kinds_that_are_asked_for_are_found(trained):
    assert names(find_artifacts(trained, [Kind.LOG])) == LOGS
    assert names(find_artifacts(trained, [Kind.VIDEO])) == []
    assert names(find_artifacts(trained, [Kind.METRICS, Kind.CHECKPOINT]))[-1] == "metrics.jsonl"


def test_images_and_videos_of_evaluations_have_their_step(scratch):
    for name in ("samples/0000-a-00c0ffee", "evaluations/000500/samples/0000-a-deadbeef"):
        scratch.put(f"{name}.mp4", "video")
    scratch.put("samples/0000-a.json", "{}")
    scratch.put("evaluations/000500/samples/0000-a-deadbeef.json", "{}")
    scratch.put("samples/0001-b-12345678.png", "image")
    scratch.put("samples/0001-b.json", "{}")
    found = find_artifacts(scratch.store)
    assert [(artifact.kind, artifact.name, artifact.step) for artifact in found] == [
        (Kind.VIDEO, "samples/0000-a-00c0ffee.mp4", None),
        (Kind.VIDEO, "evaluations/000500/samples/0000-a-deadbeef.mp4", 500),
        (Kind.IMAGE, "samples/0001-b-12345678.png", None),
    ]


def test_a_video_without_its_record_is_not_finished_and_one_that_was_replaced_does_not_count(scratch):
    scratch.put("samples/0000-a-11111111.mp4", "not finished")
    scratch.put("samples/0001-b-22222222.mp4", "left by a kill")
    scratch.put("samples/0001-b-33333333.mp4", "video")
    scratch.put("samples/0001-b.json", json.dumps({"file": "0001-b-33333333.mp4"}))
    assert names(find_artifacts(scratch.store)) == ["samples/0001-b-33333333.mp4"]


def test_checkpoints_that_are_kept_elsewhere_are_found(runs, scratch):
    elsewhere = f"{runs}/trained/checkpoints"
    scratch.put("job.yaml", json.dumps({"spec": {"training": {"checkpoint": {"directory": elsewhere}}}}))
    found = find_artifacts(scratch.store)
    assert names(found) == [f"checkpoints/{STEPS - 5}", f"checkpoints/{STEPS}"]
    assert found[1].location == f"{elsewhere}/{STEPS}"


@pytest.mark.parametrize(("there", "name"), [(True, "job.yaml"), (False, None)])
def test_the_resolved_spec_is_found(scratch, there, name):
    if there:
        scratch.put("job.yaml", "kind: DiffusionJob")
    found = job_record(open_store(scratch.location))
    assert (found.name if found else None) == name


def test_an_empty_directory_holds_nothing(scratch):
    assert find_artifacts(scratch.store) == []
