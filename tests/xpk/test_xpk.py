"""What mdctl renders for clusters that xpk made, beside what xpk itself makes: `make xpk-test`."""

import subprocess
from collections import defaultdict

import pytest
import yaml

from mdctl.render.xpk import xpk_type
from mdctl.render.xpk_command import GkeCluster, workload_create
from mdctl.spec.slices import all_slices
from tests.render.golden import DATA, recipe_job
from tests.xpk.differences import OFFLINE, PYTHON, REPOSITORY, TABLE, ask, both_know, different, matches, ours, theirs

pytestmark = [
    pytest.mark.xpk,
    pytest.mark.skipif(not PYTHON.exists(), reason="no xpk here: `make xpk-test` installs it"),
]

ENTRIES = yaml.safe_load(TABLE.read_text(encoding="utf-8"))

CLUSTER = GkeCluster(project="p", location="us-central2-b", name="c")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return what xpk makes of each slice that both know."""
    slices = both_know()
    return list(zip(slices, theirs(slices, tmp_path_factory.mktemp("xpk")), strict=True))


def test_it_is_the_version_that_is_pinned():
    program = "from importlib.metadata import version; print(version('xpk'))"
    found = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=True).stdout
    assert f"xpk=={found.strip()}\n" in (REPOSITORY / "requirements/xpk.in").read_text()


def test_every_difference_is_in_the_table_with_its_reason(made):
    for slice_, manifest in made:
        for field, (mine, other) in different(ours(slice_), manifest).items():
            found = [each for each in ENTRIES if each["field"] == field and matches(slice_, each["slices"])]
            assert len(found) == 1, f"{slice_.name}: {field} is {mine!r}, and xpk's {other!r}"
            assert found[0].get("ours", mine) == mine, slice_.name
            assert found[0].get("xpk", other) == other, slice_.name
            assert found[0]["reason"]


def test_every_entry_of_the_table_is_true_of_all_its_slices(made):
    alike = defaultdict(list)
    for slice_, manifest in made:
        found = different(ours(slice_), manifest)
        for number, entry in enumerate(ENTRIES):
            if matches(slice_, entry["slices"]) and entry["field"] not in found:
                alike[number].append(slice_.name)
    assert alike == {}
    assert all(any(matches(slice_, entry["slices"]) for slice_, _ in made) for entry in ENTRIES)


def test_selectors_hosts_and_chips_of_tpu_slices_are_the_same(made):
    """The table says where not: that must stay the two machine types which share their labels."""
    same = {"replicas", "parallelism", "completions", "chips"}
    for slice_, manifest in made:
        found = different(ours(slice_), manifest).keys()
        assert not found & same, slice_.name
        if slice_.kind == "tpu" and not slice_.by_machine:
            assert "nodeSelector" not in found, slice_.name


def test_what_has_no_name_for_xpk_is_refused_by_it(tmp_path):
    """By the name that it would have."""
    unknown = [slice_ for slice_ in all_slices() if xpk_type(slice_) is None and slice_.chips_per_host != 8]
    generations = {"v5e": "v5litepod"}
    common = ("workload", "create", "--workload=w", "--command=true", "--cluster=c")
    names = [f"{generations.get(each.generation, each.generation)}-{each.topology_label}" for each in unknown]
    answers = ask([[*common, f"--tpu-type={name}"] for name in names], tmp_path)
    assert len(answers) > 100
    for name, (code, said) in zip(names, answers, strict=True):
        assert code == 2, name
        assert f"invalid choice: '{name}'" in said


@pytest.mark.parametrize(
    "overrides",
    [
        ("slice=v5p-64", "num_slices=2", "queue.podPriority=high"),
        ("slice=v6e-16", "capacity.type=spot", 'environment={NOTE: "it\'s a $test: yes"}'),
        ("slice=h100-8", "mesh.ici.context=1", "batch.perDevice=1"),
    ],
)
def test_xpk_takes_our_command_and_makes_of_it_what_was_asked_for(overrides, tmp_path):
    job = recipe_job("train-wan", "run_name=w", "image=repo/i:1", *overrides, *DATA)
    file = tmp_path / "manifest.yaml"
    words = workload_create(job, CLUSTER)[1:]
    [(code, said)] = ask([[*words, "--project-number=1", *OFFLINE, f"--output-manifest-file={file}"]], tmp_path)
    assert code == 0, said
    made = yaml.safe_load(file.read_text())
    group = made["spec"]["replicatedJobs"][0]
    spec, slice_ = group["template"]["spec"], job.spec.resolved_slice
    assert (group["replicas"], spec["parallelism"]) == (job.spec.num_slices, slice_.hosts)
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["image"] == "repo/i:1"
    assert pod["priorityClassName"] == (job.spec.queue.pod_priority or "medium")
    assert made["spec"]["failurePolicy"]["maxRestarts"] == job.spec.restarts.max
    ending = spec["podFailurePolicy"]["rules"][0]["onExitCodes"]
    assert ending["operator"] == "NotIn"
    assert {1, 75, 76, 137} <= set(ending["values"])
    assert not {2, 3} & set(ending["values"])
    command = next(word for word in words if word.startswith("--command=")).removeprefix("--command=")
    assert f"({command})" in pod["containers"][0]["command"][2]
