"""A DiffusionJob to and from text: every mistake in it on one screen, every field by its path."""

import hashlib
import json
import reprlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mdctl.spec.errors import SpecError
from mdctl.spec.fields import child, in_yaml_spelling
from mdctl.spec.job import API_VERSION, DiffusionJob
from mdctl.spec.text import WORDS
from mdctl.spec.version import VERSION
from mdctl.spec.yaml_text import dump, load

GROUP = API_VERSION.partition("/")[0]

MAX_BYTES = 1_000_000
"""A spec larger than this is not a spec."""
MAX_PROBLEMS = 12
"""As many as fit on a screen."""

_SHORT = reprlib.Repr(maxlevel=2, maxstring=80, maxother=80)


def read_job(path: Path) -> DiffusionJob:
    """Read the job in a YAML or JSON file.

    Raises:
        SpecError: the file cannot be read, is not YAML, or does not hold one valid DiffusionJob.
    """
    return parse_job(read_mapping(path), where=str(path))


def read_mapping(path: Path) -> dict[str, Any]:
    """Read the one mapping in a YAML or JSON file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{path}: {path.stat().st_size} bytes is too long for a spec (at most {MAX_BYTES})")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    return parse_mapping(text, where=str(path))


def parse_mapping(text: str, where: str) -> dict[str, Any]:
    """Return the one mapping in a YAML text."""
    data = load(text, where)
    if not isinstance(data, dict):
        raise SpecError(f"{where}: holds {type(data).__name__}, not a mapping with apiVersion, kind, metadata and spec")
    return data


def parse_job(data: Mapping[str, Any], where: str) -> DiffusionJob:
    """Return the job that a mapping describes.

    Raises:
        SpecError: lists every problem, each with the path of its field.
    """
    _refuse_other_versions(data, where)
    try:
        return DiffusionJob.model_validate(in_yaml_spelling(data))
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    except ValidationError as error:
        raise SpecError(explain(error, DiffusionJob, where)) from None


def explain(error: ValidationError, part: type[BaseModel], where: str) -> str:
    """Return everything that is wrong with a part, on one screen: each problem with the path of its field."""
    lines = [line for problem in error.errors(include_url=False) for line in _lines(dict(problem), part)]
    if len(lines) == 1:
        return f"{where}: {lines[0]}"
    more = [f"... and {len(lines) - MAX_PROBLEMS} more"] if len(lines) > MAX_PROBLEMS else []
    return "\n".join([f"{where}:", *("  " + line for line in [*lines[:MAX_PROBLEMS], *more])])


def dump_job(job: DiffusionJob) -> dict[str, Any]:
    """Return the job as plain data, camelCase, what differs from the defaults only."""
    data = job.model_dump(mode="json", by_alias=True, exclude_unset=False, exclude_defaults=True)
    return {"apiVersion": job.api_version, "kind": job.kind, **data}


def job_yaml(job: DiffusionJob) -> str:
    """Return the job as YAML."""
    return dump(dump_job(job))


def spec_hash(job: DiffusionJob) -> str:
    """Return a name for the resolved spec and the labels: equal ones, equal names (16 hexadecimal digits)."""
    data = {"labels": job.metadata.labels, "spec": job.spec.model_dump(mode="json", by_alias=True)}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _refuse_other_versions(data: Mapping[str, Any], where: str) -> None:
    """Refuse a job of a schema that this version does not know, before its fields are taken for mistakes."""
    asked = data.get("apiVersion", API_VERSION)
    if isinstance(asked, str) and asked.startswith(f"{GROUP}/") and asked != API_VERSION:
        raise SpecError(
            f"{where}: apiVersion is {asked}, and mdctl {VERSION} reads {API_VERSION}; use an mdctl that reads "
            f"{asked}, which in a pod is the one of its image, or write the job as {API_VERSION}"
        )


def _lines(problem: dict[str, Any], top: type[BaseModel]) -> list[str]:
    path = ".".join(_name(str(part)) for part in problem["loc"] if part != "[key]")
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return [f"{path}: no such field{_suggestion(problem['loc'], top)}"]
    if problem["type"] == "missing":
        return [f"{path}: is required"]
    if problem["type"] == "value_error":
        return [f"{path}: {line}" if path and path != "spec" else line for line in message.splitlines()]
    return [f"{path}: {_expected(problem)}, not {_SHORT.repr(problem['input'])}"]


def _name(part: str) -> str:
    return part if part and part.isprintable() else repr(part)


def _expected(problem: dict[str, Any]) -> str:
    if problem["type"] == "model_type":
        return "should hold fields"
    if problem["type"] == "string_pattern_mismatch":
        return f"should be {WORDS[problem['ctx']['pattern']]}"
    message = str(problem["msg"])
    return message[0].lower() + message[1:]


def _suggestion(loc: tuple[str | int, ...], top: type[BaseModel]) -> str:
    """Return the field nearest to an unknown one, among its siblings."""
    part: type[BaseModel] | None = top
    for name in loc[:-1]:
        part = child(part, str(name)) if part else None
    if part is None:
        return ""
    names = [field.alias or name for name, field in part.model_fields.items()]
    near = get_close_matches(str(loc[-1]), names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(names)})"
