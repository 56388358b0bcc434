import shutil

from mdctl.results.attempts import State
from mdctl.results.jobs import read_spec, recorded_job, recorded_jobs
from mdctl.results.opening import open_store
from tests.workers import STEPS


def test_every_job_that_workers_recorded_is_found(runs):
    found = {job.directory.rpartition("/")[2]: job for job in recorded_jobs(runs)}
    assert found.keys() == {"trained", "generated", "mistaken"}
    trained, generated, mistaken = (found[name] for name in ("trained", "generated", "mistaken"))
    assert (trained.name, trained.task, trained.model, trained.slice) == ("small", "train", "wan2.1-t2v-tiny", "cpu-1")
    assert (trained.state, trained.cause, trained.attempts.count) == (State.DONE, None, 3)
    assert (trained.progress.done, trained.num_slices) == (STEPS, 1)
    assert (generated.name, generated.task, generated.state) == ("generate-wan", "generate", State.DONE)
    assert (generated.progress.done, generated.progress.wanted) == (2, 2)
    assert (mistaken.state, mistaken.progress.done) == (State.FAILED, 2)
    assert "No space left on device" in mistaken.cause
    assert trained.attempts.began < trained.heard
    assert [attempt.number for attempt in trained.attempts.newest] == [3]


def test_the_job_that_began_last_comes_first(runs):
    began = [job.attempts.began for job in recorded_jobs(runs)]
    assert began == sorted(began, reverse=True)


def test_a_directory_in_which_no_job_wrote_is_none(scratch):
    scratch.put("notes/readme.txt", "not a job")
    assert recorded_jobs(scratch.location) == []
    assert recorded_job(scratch.store) is None
    assert read_spec(scratch.store) == {}
    assert recorded_jobs(f"{scratch.location}/none") == []


def test_a_record_that_was_cut_short_or_is_of_another_version_is_still_a_job(scratch):
    scratch.put("cut/job.yaml", "metadata: {name: cut\nspec: [")
    scratch.put("odd/job.yaml", "metadata: other\nspec: {task: dance, model: none, slice: v9, numSlices: 2, new: 1}")
    found = {job.name: job for job in recorded_jobs(scratch.location)}
    assert found.keys() == {"cut", "odd"}
    cut, odd = found["cut"], found["odd"]
    assert (cut.task, cut.state, cut.attempts.began, cut.heard) == (None, None, None, None)
    assert (odd.task, odd.model, odd.slice, odd.num_slices) == ("dance", None, "v9", 2)


def test_a_copy_tells_the_same(written, tmp_path):
    shutil.copytree(written / "trained", tmp_path / "copy")
    before, after = (recorded_job(open_store(str(place))) for place in (written / "trained", tmp_path / "copy"))
    assert (after.state, after.attempts.count, after.progress) == (before.state, 3, before.progress)
