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
from typing import Any

from mdctl.render.cuts import cut_job
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
    found = [*jobset_problems(jobset), *_core_problems(jobset, kubernetes), *_metadata_problems(jobset)]
    if found:
        raise SpecError(
            "\n".join([f"JobSet {jobset['metadata']['name']} would be refused:", *(f"  {p}" for p in found)])
        )


def jobset_problems(jobset: Object) -> list[str]:
    """Return what the CRD's schema refuses."""
    from jsonschema import Draft202012Validator

    text = files("mdctl.render").joinpath("schemas", JOBSET_SCHEMA).read_text(encoding="utf-8")
    errors = Draft202012Validator(_closed(json.loads(text))).iter_errors(jobset)
    return [f"{error.json_path.removeprefix('$.')}: {error.message}" for error in errors]


def _core_problems(jobset: Object, kubernetes: str) -> Iterator[str]:
    import kubernetes_validate

    job = cut_job(jobset)
    try:
        kubernetes_validate.validate(job, kubernetes, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(map(str, error.path))
        yield f"Job {job['metadata']['name']}: {path}: {error.message}"


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


def _closed(schema: Any) -> Any:
    """Return a schema that refuses fields it does not name, as the API server does in strict validation."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and "type" in closed and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed
