"""Where a job of `--preset xpk` differs from what xpk makes of the same request, and why: differences.yaml is complete.

    slices       which: kind, hosts (one, several), machine, topology; all of these differ so, and no others
    field        of the JobSet, or of a pod
    ours, xpk    the values; left out where they are not the same for all of these slices
    reason

How GPU machines talk to each other, and what the container runs, is not compared.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mdctl.render.jobset import render_jobset
from mdctl.render.xpk import preset, xpk_type
from mdctl.spec.merging import merge
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe
from mdctl.spec.slices import Slice, all_slices

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-xpk/bin/python"
TABLE = Path(__file__).with_name("differences.yaml")

Object = dict[str, Any]

PLACE = ("--cluster=c", "--project=p", "--project-number=1", "--zone=us-central2-b")
OFFLINE = ("--dry-run", "--skip-validation", "--quiet", "--no-dependency-auto-download")


def both_know() -> list[Slice]:
    """Return the slices that xpk has a name for."""
    return [slice_ for slice_ in all_slices() if xpk_type(slice_) is not None]


def ask(commands: Sequence[Sequence[str]], home: Path, **environment: str) -> list[tuple[int, str]]:
    """Return the exit code of each command of xpk, and what it said; `environment` says what else it finds there."""
    answer = subprocess.run(
        [PYTHON, "-m", "tests.xpk.manifests"],
        input=json.dumps(commands),
        cwd=REPOSITORY,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return [(code, said) for code, said in json.loads(answer.stdout)]


def theirs(slices: Sequence[Slice], folder: Path) -> Iterator[Object]:
    """Yield what xpk makes of a job named w on each slice."""
    files = [folder / f"{number}.yaml" for number in range(len(slices))]
    commands = [
        [
            *("workload", "create", "--workload=w", "--command=true", "--docker-image=repo/i:1"),
            *("--max-restarts=5", "--termination-grace-period-seconds=300", "--ttl-seconds-after-finished=86400"),
            *(*PLACE, *OFFLINE),
            *_hardware(slice_),
            f"--output-manifest-file={file}",
        ]
        for slice_, file in zip(slices, files, strict=True)
    ]
    for slice_, file, (code, said) in zip(slices, files, ask(commands, folder), strict=True):
        assert code == 0, f"{slice_.name}\n{said}"
        yield yaml.safe_load(file.read_text(encoding="utf-8"))


def ours(slice_: Slice) -> Object:
    """Return what mdctl makes of the same job."""
    spec = {
        "slice": slice_.name,
        "image": "repo/i:1",
        "outputDir": "gs://b/o",
        "data": {"path": "gs://b/c"},
        "mesh": {"ici": {"context": 1}},
        "batch": {"perDevice": 1},
    }
    job = merge(find_recipe("train-wan").job(), preset("w", slice_.name))
    return render_jobset(parse_job(merge(job, {"metadata": {"name": "w"}, "spec": spec}), where="w"))


def facts(jobset: Object) -> dict[str, Any]:
    """Return what of a JobSet decides where its pods go, how many they are, what they get and what becomes of them."""
    metadata, spec = jobset["metadata"], jobset["spec"]
    group = spec["replicatedJobs"][0]
    job = group["template"]["spec"]
    template, pod = job["template"], job["template"]["spec"]
    worker = pod["containers"][0]
    annotations = {**(metadata.get("annotations") or {}), **(template["metadata"].get("annotations") or {})}
    return {
        "queue": metadata["labels"].get("kueue.x-k8s.io/queue-name"),
        "workload label": metadata["labels"].get("xpk.google.com/workload"),
        "workload label of pods": template["metadata"]["labels"].get("xpk.google.com/workload"),
        "priorityClassName": pod.get("priorityClassName"),
        "replicas": group["replicas"],
        "parallelism": job["parallelism"],
        "completions": job["completions"],
        "chips": {name: int(value) for name, value in worker["resources"]["limits"].items()},
        "nodeSelector": pod.get("nodeSelector"),
        "tolerations": sorted(each["key"] for each in pod["tolerations"]),
        "exclusive topology": annotations.get("alpha.jobset.sigs.k8s.io/exclusive-topology"),
        "preferred topology": annotations.get("kueue.x-k8s.io/podset-preferred-topology"),
        "schedulerName": pod.get("schedulerName"),
        "backoffLimit": job["backoffLimit"],
        "maxRestarts": spec["failurePolicy"]["maxRestarts"],
        "ttlSecondsAfterFinished": spec.get("ttlSecondsAfterFinished"),
        "terminationGracePeriodSeconds": pod["terminationGracePeriodSeconds"],
        "restartPolicy": pod["restartPolicy"],
        "serviceAccountName": pod.get("serviceAccountName"),
        "imagePullSecrets": pod.get("imagePullSecrets"),
        "hostNetwork": pod.get("hostNetwork", False),
        "privileged": worker["securityContext"].get("privileged", False),
    }


def different(mine: Object, other: Object) -> dict[str, tuple[Any, Any]]:
    """Return the facts in which two JobSets differ, with both values."""
    pairs = {name: (value, facts(other)[name]) for name, value in facts(mine).items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def matches(slice_: Slice, wanted: dict[str, str]) -> bool:
    """Say whether a slice is one of those that an entry of the table is about."""
    known = {
        "kind": slice_.kind,
        "hosts": "one" if slice_.hosts == 1 else "several",
        "machine": slice_.machine_type,
        "topology": slice_.topology_label,
    }
    return all(known[name] == value for name, value in wanted.items())


def _hardware(slice_: Slice) -> list[str]:
    name = xpk_type(slice_)
    if slice_.kind == "gpu":
        return [f"--device-type={name}", f"--num-nodes={slice_.hosts}"]
    return [f"--tpu-type={name}"]
