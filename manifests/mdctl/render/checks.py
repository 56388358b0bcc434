"""What can be known of a JobSet without a cluster: its schema, the schemas of what it becomes, the form of its labels.

    JobSet           the CRD's own schema (schemas/NOTICE says where it comes from), no other fields
    Job              cut from it, its pods included, against Kubernetes' schema of the oldest version that is supported
    labels           keys and values, which no schema describes
    annotations      256 KiB in all on one object

Rules that stand in CEL or in webhooks only a server knows: `mdctl.cluster.apply` asks it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mdctl.render.cuts import cut_job
from mdctl.render.structural import problems
from mdctl.spec.errors import SpecError

Object = dict[str, Any]

KUBERNETES = "1.31"
"""The oldest Kubernetes that a job runs on: from here on a Job has failed only when all its pods have ended."""

JOBSET_SCHEMA = "jobset-v0.12.0.json"

MAX_ANNOTATIONS = 256 * 1024

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def check_jobset(jobset: Object, kubernetes: str = KUBERNETES) -> None:
    """Refuse a JobSet that an API server would refuse, as far as that can be known offline.

    Raises:
        SpecError: lists every problem, each with its path in the object.
    """
    found = [*jobset_problems(jobset), *job_problems(cut_job(jobset), kubernetes), *_metadata_problems(jobset)]
    if found:
        raise SpecError(
            "\n".join([f"JobSet {jobset['metadata']['name']} would be refused:", *(f"  {p}" for p in found)])
        )


def jobset_problems(jobset: Object) -> list[str]:
    """Return what the CRD's schema refuses."""
    text = files("mdctl.render").joinpath("schemas", JOBSET_SCHEMA).read_text(encoding="utf-8")
    return list(problems(jobset, json.loads(text), {}))


def job_problems(job: Object, kubernetes: str = KUBERNETES) -> list[str]:
    """Return what Kubernetes' schema of a Job refuses, its pods included."""
    folder = _kubernetes_schemas() / f"v{kubernetes}.0-local-strict"
    schema = json.loads((folder / "job-batch-v1.json").read_text(encoding="utf-8"))
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    return [f"Job {job['metadata']['name']}: {problem}" for problem in problems(job, schema, definitions)]


def _kubernetes_schemas() -> Path:
    """Return the folder of schemas in kubernetes-validate, without importing it, which takes long."""
    package = find_spec("kubernetes_validate")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "kubernetes-json-schema"


def _metadata_problems(jobset: Object) -> Iterator[str]:
    template = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    for metadata in (jobset["metadata"], template["metadata"]):
        yield from label_problems(metadata["labels"])
        size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata["annotations"].items())
        if size > MAX_ANNOTATIONS:
            yield f"annotations have {size} bytes, at most {MAX_ANNOTATIONS} fit; most is the spec: shorten prompts"


def label_problems(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the form of labels: `[prefix/]name: value`, name and value of 63 characters."""
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if not _NAME.fullmatch(name) or (slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
            yield f"label {key!r}: a key is [prefix/]name, with at most 63 of a-z, A-Z, 0-9, -, _ and . in the name"
        if value and not _NAME.fullmatch(value):
            yield f"label {key!r}: {value!r} ({len(value)} characters) is not at most 63 of a-z, A-Z, 0-9, -, _ and ."
