"""Every recipe on every slice: refused before anything is sent, for a known reason, or taken as it was rendered."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
import yaml

from mdctl.render.cuts import cut_job, cut_pod
from mdctl.render.jobset import render_jobset
from mdctl.spec.errors import UserError
from mdctl.spec.recipes import recipe_names
from mdctl.spec.slices import all_slices
from tests.cluster.matrix.stored import surprises
from tests.cluster.plane.api import ApiError
from tests.render.golden import recipe_job

REFUSALS = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text(encoding="utf-8"))
COMMON = ("run_name=trial", "queue.name=accelerators", "output_dir=gs://my-bucket/trial")
DATA = {name: ("data.path=gs://my-bucket/clips",) for name in recipe_names() if not name.startswith("generate-")}
"""What a recipe leaves to its user."""

ALONE_AND_JOINED = {(each.machine_type, each.hosts > 1): each for each in all_slices()}
"""Of each machine type its largest slice, and a single machine."""

REQUESTS = 8
"""At a time."""


def test_every_recipe_is_in_the_table():
    assert set(REFUSALS) == set(recipe_names())


def test_on_every_machine_type_all_that_is_made_of_a_job_is_taken(plane, namespace):
    taken = judge(
        plane, namespace, ALONE_AND_JOINED.values(), lambda jobset: (jobset, cut_job(jobset), cut_pod(jobset))
    )
    assert taken > 100


@pytest.mark.matrix
def test_on_every_slice_the_job_is_taken(plane, namespace):
    assert judge(plane, namespace, all_slices(), lambda jobset: (jobset,)) > 2000


def judge(plane, namespace, slices, forms):
    """Let the server judge the forms of every recipe on these slices; return how many it took."""
    began, found = monotonic(), []
    with ThreadPoolExecutor(REQUESTS) as threads:
        for recipe in recipe_names():
            for slice_ in slices:
                jobset = render(recipe, slice_.name, namespace)
                if jobset is not None:
                    found += [(recipe, slice_.name, threads.submit(judged, plane, each)) for each in forms(jobset)]
        wrong = [(recipe, name, said) for recipe, name, judgement in found for said in judgement.result()]
    print(f"{len(found)} objects of {len(slices)} slices judged in {monotonic() - began:.0f} s")
    assert not wrong
    return len(found)


def render(recipe, name, namespace):
    """Return a recipe's JobSet on a slice; None where the table says that it is refused, and it is."""
    reasons = [row["reason"] for row in REFUSALS[recipe] if name in row["slices"]]
    overrides = (f"slice={name}", *COMMON, *DATA.get(recipe, ()))
    if reasons:
        with pytest.raises(UserError, match=reasons[0]):
            render_jobset(recipe_job(recipe, *overrides))
        return None
    jobset = render_jobset(recipe_job(recipe, *overrides))
    jobset["metadata"]["namespace"] = namespace
    return jobset


def judged(plane, wanted):
    """Return what is wrong with the server's answer to an object that it is only to judge."""
    try:
        return surprises(wanted, plane.api.create(wanted, dryRun="All"))
    except ApiError as error:
        return [str(error)]
