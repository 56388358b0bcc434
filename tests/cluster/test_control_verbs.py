"""The verbs that act on a job which is there, as a person uses them."""

import json
import re

import pytest

from tests.buckets import blob, bucket, buckets, emulator
from tests.cli.conftest import folder, mdctl
from tests.cluster.plane.pods import EXIT_CODE, LINGER
from tests.cluster.rendered import JOB, rendered

__all__ = ["bucket", "buckets", "emulator", "folder", "mdctl"]


@pytest.fixture
def verb(plane, namespace, mdctl):
    """Return a function that runs a verb about the job."""
    place = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]
    return lambda name, *words: mdctl(name, JOB, *words, *place)


def created(plane, namespace, *overrides, **more):
    return plane.api.create(rendered(namespace, "slice=v5e-8", "image=repo/i:1", *overrides, **more))


def spec_of(plane, namespace):
    return plane.api.get("JobSet", JOB, namespace)["metadata"]["annotations"]["mdctl.dev/spec-hash"]


@pytest.mark.nodes("v5e-8")
def test_a_job_is_suspended_resumed_and_waited_for(plane, namespace, verb):
    created(plane, namespace, "queue.name=accelerators", labels={LINGER: "1s"})
    assert verb("wait", "--for", "running").code == 0
    found = verb("suspend")
    assert found.out == f"name       {JOB}\nnamespace  {namespace}\nstate      suspended\n"
    assert found.err.startswith(f"job {JOB}: 1 pod has yet to stop, with at most 300 s to save\n")
    assert verb("wait", "--for", "suspended").code == 0
    found = verb("wait", "--timeout", "1s")
    assert (found.code, found.out) == (124, "")
    assert found.err.splitlines()[-1] == f"{JOB}: not completed in time"
    assert verb("resume", "-o", "name").out == f"{JOB}\n"
    [pod] = plane.pods.running(namespace, JOB, 1)
    plane.pods.finish(pod, 3, "error: no memory is left")
    found = verb("wait")
    assert (found.code, found.out) == (3, "")
    assert verb("suspend").err == (
        f"error: job {JOB} is over (Failed), so there is nothing to suspend; `mdctl delete {JOB}` removes it\n"
    )


@pytest.mark.nodes("v5e-8")
def test_a_cancelled_job_leaves_its_record_and_goes_on_from_it(plane, namespace, verb, mdctl, bucket):
    run = f"{bucket}/run"
    jobset = created(plane, namespace, f"output_dir={run}")
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    blob(f"{run}/job.yaml").upload_from_string(template["metadata"]["annotations"]["mdctl.dev/spec"])
    plane.pods.running(namespace, JOB, 1)
    found = verb("cancel", "-o", "json")
    assert found.code == 0, found.err
    assert json.loads(found.out) == {"name": JOB, "state": "cancelled", "namespace": namespace, "output": run}
    assert plane.api.find("JobSet", JOB, namespace) is None
    assert json.loads(blob(f"{run}/cancelled.json").download_as_bytes())["run"] == jobset["metadata"]["uid"]

    place = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]
    lost = mdctl("resubmit", JOB, *place)
    assert (lost.code, lost.out) == (2, "")
    assert "name its output directory" in lost.err
    found = mdctl("resubmit", run, "training.steps=20000", *place)
    assert found.code == 0, found.err
    again = plane.api.get("JobSet", JOB, namespace)
    text = json.dumps(again["spec"])
    assert again["metadata"]["uid"] != jobset["metadata"]["uid"]
    assert f"outputDir: {run}" in text
    assert "steps: 20000" in text
    plane.pods.running(namespace, JOB, 1)


@pytest.mark.nodes("v5e-8")
@pytest.mark.parametrize("begun", [True, False])
def test_a_cancelled_job_is_listed_and_shown_as_such_with_who_did_it(plane, namespace, mdctl, bucket, begun):
    """One that had to wait until then, and has written nothing, too."""
    mdctl("config", "set", "output_dir", bucket)
    if not begun:
        plane.queues.create(namespace, {"v5e-8": 0})
    jobset = created(plane, namespace, f"output_dir={bucket}/{JOB}", "queue.name=accelerators")
    if begun:
        plane.pods.running(namespace, JOB, 1)
        template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
        blob(f"{bucket}/{JOB}/job.yaml").upload_from_string(template["metadata"]["annotations"]["mdctl.dev/spec"])
        attempt = {"run": jobset["metadata"]["uid"], "hosts": 1, "progress": 0}
        blob(f"{bucket}/{JOB}/attempts/0001/attempt.json").upload_from_string(json.dumps(attempt))
    user = f"jane-{namespace}"
    place = ["--kubeconfig", str(plane.kubeconfig_for(user, ["test:admins"])), "-n", namespace]
    assert mdctl("cancel", JOB, *place).code == 0
    [row] = json.loads(mdctl("list", *place, "-o", "json").out)
    assert (row["name"], row["phase"], row["model"]) == (JOB, "Cancelled", "wan2.1-t2v-14b")
    assert (row["cancelled"]["by"], row["cancelled"]["run"]) == (user, jobset["metadata"]["uid"])
    head, line = mdctl("list", *place, "--phase", "cancelled").out.splitlines()
    assert "CANCELLED" not in head
    assert line.split()[:1] == [JOB]
    assert "Cancelled" in line
    facts = mdctl("status", JOB, *place).out
    assert re.search(r"^phase +Cancelled$", facts, re.MULTILINE)
    assert re.search(rf"^reason +cancelled by {user}, \d+ s ago$", facts, re.MULTILINE)
    shown = json.loads(mdctl("status", JOB, *place, "-o", "json").out)
    assert (shown["phase"], shown["cancelled"]) == ("Cancelled", row["cancelled"])
    plane.queues.create(namespace, {"v5e-8": 16})
    again = mdctl("resubmit", JOB, *place)
    assert again.code == 0, again.err
    [row] = json.loads(mdctl("list", *place, "-o", "json").out)
    assert (row["phase"] == "Cancelled", row["cancelled"]) == (False, None)


@pytest.mark.nodes("v5e-8")
def test_a_job_that_runs_is_submitted_again_only_where_it_is_replaced(plane, namespace, verb):
    created(plane, namespace)
    plane.pods.running(namespace, JOB, 1)
    before = spec_of(plane, namespace)
    found = verb("resubmit", "training.steps=20000")
    assert (found.code, found.out) == (2, "")
    assert f"job {JOB} is not over, and writes to the same directory" in found.err
    assert spec_of(plane, namespace) == before
    assert "steps: 20000" in verb("resubmit", "training.steps=20000", "--dry-run").out
    found = verb("resubmit", "run_name=other", "--replace")
    assert "keeps its name when it is submitted again, so it cannot be called other" in found.err
    assert verb("resubmit", "training.steps=20000", "--replace").code == 0
    assert spec_of(plane, namespace) != before


@pytest.mark.nodes("v5e-8")
def test_a_job_that_is_over_is_submitted_again_as_it_was_or_changed(plane, namespace, verb):
    created(plane, namespace, labels={EXIT_CODE: "2"})
    assert verb("wait", "--for", "over").code == 2
    first = plane.api.get("JobSet", JOB, namespace)["metadata"]
    found = verb("resubmit")
    assert found.out.endswith("state      replaced\n"), found.err
    second = plane.api.get("JobSet", JOB, namespace)["metadata"]
    assert (first["uid"] != second["uid"], first["labels"]) == (True, second["labels"])
    assert verb("wait", "--for", "over").code == 2
    assert verb("resubmit", "restarts.max=1").code == 0
    assert verb("resubmit", "training.stps=1").err.startswith("error: 'training.stps' names no field")


@pytest.mark.nodes("v5e-8")
def test_a_job_is_deleted_once_somebody_says_yes(plane, namespace, verb):
    created(plane, namespace)
    found = verb("delete")
    assert (found.code, found.out) == (2, "")
    assert found.err == f"error: delete {namespace}/{JOB} (not over yet)? nobody is there to ask; add --yes\n"
    assert verb("delete", "--yes").out.endswith("state      deleted\n")
    for kind in ("JobSet", "Job", "Pod", "Service"):
        assert plane.api.objects(kind, namespace) == []
    found = verb("delete", "--yes")
    assert (found.code, found.out) == (2, "")
    assert re.match(rf"error: no job is called '{JOB}' in namespace {namespace}; there is none at all", found.err)
    assert verb("wait", "--for", "deleted").code == 0
