import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mdctl.cli.request import Local, Request, asked, random_suffix, this_computer
from mdctl.spec.errors import SpecError
from mdctl.spec.job import DiffusionJob
from tests.spec.jobs import JUNK, attempt, spoilt

ASKED = asked({"metadata.name": "mine", "numSlices": 2, "image": None}, ["batch.globalSize=8"])


def test_what_is_not_said_is_not_in_the_layer():
    assert ASKED == {"metadata": {"name": "mine"}, "spec": {"numSlices": 2, "batch": {"globalSize": 8}}}


def test_a_later_layer_stands_above_an_earlier_one(folder):
    job = Request(source="train-wan", asked=ASKED).job()
    assert (job.metadata.name, job.spec.num_slices, job.spec.batch.per_device) == ("mine", 2, None)


def test_a_name_that_nobody_gave_is_fresh_each_time(folder):
    request = Request(source="train-wan", asked={}, fresh_name=True)
    assert request.job().metadata.name != request.job().metadata.name
    assert len(random_suffix()) == 5


def test_the_output_directory_of_settings_gets_a_folder_for_each_job(folder):
    (folder / "config/mdctl").mkdir(parents=True)
    (folder / "config/mdctl/config.yaml").write_text("outputDir: gs://b/runs\n")
    assert Request(source="train-wan", asked=ASKED).job().spec.output_dir == "gs://b/runs/mine"
    said = asked({"outputDir": "gs://c/d"}, [])
    assert Request(source="train-wan", asked=said).job().spec.output_dir == "gs://c/d"


@pytest.mark.parametrize(("processes", "devices", "slice_"), [(1, 1, "cpu-1"), (1, 8, "cpu-8"), (2, 4, "cpu-2x4")])
def test_this_computer_is_a_slice(folder, processes, devices, slice_):
    here = this_computer(True, processes, devices)
    request = Request(source="train-wan", asked=asked({}, ["batch.globalSize=8"]), local=here)
    assert request.job().spec.slice == slice_


def test_the_size_of_this_computer_without_local_is_a_mistake():
    assert this_computer(False, 1, 1) is None
    with pytest.raises(SpecError, match="add --local, or give a --slice"):
        this_computer(False, 1, 2)


def test_a_source_too_long_for_a_file_is_no_recipe(folder):
    with pytest.raises(SpecError, match="no recipe is called"):
        Request(source="x" * 300, asked={}).job()


@given(spoilt() | st.dictionaries(st.sampled_from(["metadata", "spec", "kind", "x"]), JUNK), st.booleans())
def test_any_file_gives_a_valid_job_or_our_error(data, local):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", folder)
        path = Path(folder, "job.yaml")
        path.write_text(yaml.safe_dump(data))
        request = Request(source=str(path), asked=ASKED, local=Local() if local else None, fresh_name=True)
        assert isinstance(attempt(request.job), DiffusionJob | SpecError)
