"""A job as a command of xpk: what it says, and that its script starts the worker."""

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest

from mdctl.render.xpk_command import SPEC, GkeCluster, start_script, workload_create
from mdctl.spec.environment import read_place
from mdctl.spec.errors import SpecError
from mdctl.spec.reading import read_job
from tests.render.golden import DATA, FOUR_SLICES, recipe_job

CLUSTER = GkeCluster(project="p", location="us-central2-b", name="c")

PYTHON = """#!/bin/sh
exec /usr/bin/env python3 -c 'import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))' "$@"
"""


def job_for_xpk(*overrides):
    return recipe_job("train-wan", "run_name=w", "image=repo/i:1", *overrides, *DATA)


def options(job):
    words = workload_create(job, CLUSTER)
    assert words[:3] == ["xpk", "workload", "create"]
    return dict(word.removeprefix("--").partition("=")[::2] for word in words[3:])


def test_the_command_says_all_that_the_job_does():
    found = options(job_for_xpk("num_slices=2", "queue.podPriority=low", "restarts.ttlSecondsAfterFinished=60"))
    del found["command"]
    assert found == {
        "workload": "w",
        "cluster": "c",
        "project": "p",
        "zone": "us-central2-b",
        "namespace": "default",
        "tpu-type": "v5p-2x4x4",
        "num-slices": "2",
        "docker-image": "repo/i:1",
        "priority": "low",
        "max-restarts": "5",
        "restart-on-exit-codes": "1,75,76",
        "termination-grace-period-seconds": "300",
        "ttl-seconds-after-finished": "60",
    }


@pytest.mark.parametrize(
    ("override", "flag"),
    [
        ("capacity.type=spot", "--spot"),
        ("capacity.type=flex-start", "--flex"),
        ("capacity={type: reservation, reservation: mine}", "--reservation=mine"),
    ],
)
def test_capacity_is_a_flag(override, flag):
    assert workload_create(job_for_xpk(override), CLUSTER)[-1] == flag


def test_no_quote_nor_anything_else_that_yaml_reads_is_in_the_command():
    command = options(job_for_xpk("environment={NOTE: \"it's 'so': $HOME\"}"))["command"]
    assert re.fullmatch(r"echo [A-Za-z0-9+/=]+ \| base64 -d > /tmp/mdctl.sh && exec sh /tmp/mdctl.sh", command)


def run_script(job, folder, **environment):
    """Run the script of a job where python prints what it was started with; return that, and the spec it wrote."""
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)
    script = start_script(job, job.spec.resolved_slice).replace(SPEC, str(folder / "job.yaml"))
    path = f"{folder}:/usr/bin:/bin"
    ran = subprocess.run(
        ["sh", "-c", script], env={"PATH": path, **environment}, capture_output=True, text=True, check=True
    )
    words, variables = json.loads(ran.stdout)
    assert words == ["-m", "mdctl.runtime", str(folder / "job.yaml")]
    return variables, read_job(Path(folder, "job.yaml"))


def test_the_script_gives_the_worker_its_spec_its_place_and_its_variables(tmp_path):
    job = job_for_xpk("num_slices=2", "environment={NOTE: \"it's 'so': $HOME\"}")
    variables, spec = run_script(job, tmp_path, MEGASCALE_SLICE_ID="1", JOB_COMPLETION_INDEX="3")
    assert spec == job
    assert variables["NOTE"] == "it's 'so': $HOME"
    assert variables["JAX_PLATFORMS"] == "tpu,cpu"
    place = read_place(variables)
    assert (place.rank, place.num_processes, place.coordinator) == (11, 16, "w-slice-job-0-0.w:8482")


def test_a_host_that_is_alone_has_no_peers(tmp_path):
    variables, _ = run_script(job_for_xpk("slice=v5p-8", "mesh.ici.context=1"), tmp_path, JOB_COMPLETION_INDEX="0")
    assert read_place(variables).coordinator is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["slice=v6e-8"], "slice is v6e-8 (1 x 8 chips), which xpk does not know"),
        (["slice=h100-16"], "xpk joins GPU machines in its own way"),
        (["queue.name=mine"], "queue.name is 'mine'; xpk uses multislice-queue"),
        (["service_account=me"], "serviceAccount is set, for which xpk has no option"),
        (["secrets=[{name: hub, key: token, env: HF_TOKEN}]"], "secrets is set"),
        (["resources={cpu: '8'}"], "resources.cpu is set"),
        (["restarts.maxHours=3"], "restarts.maxHours is set"),
        (["image_pull_secrets=[a, b]"], "imagePullSecrets has 2; xpk takes one"),
    ],
)
def test_what_xpk_cannot_express_is_refused_by_name(overrides, words):
    with pytest.raises(SpecError, match="xpk cannot create w; --preset xpk can:") as error:
        workload_create(job_for_xpk(*overrides), CLUSTER)
    assert words in str(error.value)


def test_programs_that_are_alone_are_refused():
    job = recipe_job("generate-wan", "slice=v6e-4", "mesh.ici.context=1", *FOUR_SLICES)
    with pytest.raises(SpecError, match="numSlices is 4, each a program alone"):
        workload_create(job, CLUSTER)


def test_a_spec_that_no_command_line_holds_is_refused():
    prompts = ", ".join("x" * 100 for _ in range(1000))
    job = recipe_job("generate-wan", "slice=v6e-4", f"sampling.prompts=[{prompts}]", "output_dir=gs://b/o")
    with pytest.raises(SpecError, match=r"too long for a command line .* put prompts into sampling.promptsFile"):
        workload_create(job, CLUSTER)


def test_the_script_survives_base64():
    job = job_for_xpk()
    encoded = options(job)["command"].split()[1]
    assert base64.b64decode(encoded).decode() == start_script(job, job.spec.resolved_slice)
