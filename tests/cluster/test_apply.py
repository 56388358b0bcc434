import copy

import pytest

from mdctl.cluster.apply import create, difference
from mdctl.render.jobset import render_jobset
from mdctl.spec.errors import ClusterError
from tests.render.golden import DATA, recipe_job


class Shelf:
    """Objects by name, in place of a cluster: what `create` asks of one."""

    def __init__(self, *jobsets):
        self.held = {jobset["metadata"]["name"]: stored(jobset) for jobset in jobsets}
        self.judged = []
        self.taken_at_create = False

    def find(self, like):
        return self.held.get(like["metadata"]["name"])

    def create(self, wanted, *, dry_run=False):
        if dry_run:
            self.judged.append(wanted["kind"])
            return wanted
        if self.taken_at_create:
            self.held[wanted["metadata"]["name"]] = stored(wanted)
            raise ClusterError("taken", status=409)
        return self.held.setdefault(wanted["metadata"]["name"], stored(wanted))


def stored(jobset):
    jobset = copy.deepcopy(jobset)
    jobset["metadata"].setdefault("namespace", "default")
    return jobset


def rendered(*overrides):
    return render_jobset(recipe_job("train-wan", *DATA, *overrides))


def test_a_job_is_judged_in_all_its_forms_and_then_created():
    shelf = Shelf()
    assert create(rendered(), shelf) == {"name": "train-wan", "namespace": "default", "state": "created"}
    assert shelf.judged == ["JobSet", "Job", "Pod"]
    assert "train-wan" in shelf.held


def test_the_same_again_is_a_success_without_a_write():
    shelf = Shelf(rendered())
    assert create(rendered(), shelf)["state"] == "unchanged"
    assert shelf.judged == []


def test_the_same_from_somebody_faster_is_a_success_too():
    shelf = Shelf()
    shelf.taken_at_create = True
    assert create(rendered(), shelf)["state"] == "unchanged"


def test_another_spec_of_that_name_is_refused_with_the_difference():
    with pytest.raises(ClusterError, match=r"another spec:(.|\n)*-    steps: 10000\n\+    steps: 5\n"):
        create(rendered("training.steps=5"), Shelf(rendered()))


def test_a_long_difference_is_cut_to_a_screen():
    prompts = "sampling.prompts=[" + ", ".join(f"prompt {n}" for n in range(100)) + "]"
    with pytest.raises(ClusterError) as error:
        create(rendered(prompts), Shelf(rendered()))
    assert len(str(error.value).splitlines()) < 30
    assert "more lines" in str(error.value)


def test_a_stranger_of_that_name_is_left_alone():
    stranger = rendered()
    del stranger["metadata"]["annotations"]
    with pytest.raises(ClusterError, match="is not mdctl's; choose another name"):
        create(rendered(), Shelf(stranger))


def test_what_differs_is_what_the_specs_say():
    assert difference(rendered(), rendered()) == []
    lines = difference(rendered(), rendered("num_slices=2", "batch.perDevice=0.25"))
    assert {"-  numSlices: 1", "+  numSlices: 2"} <= set(lines)
