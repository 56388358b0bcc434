"""The fields of a DiffusionJob by path: `spec.training.optimizer.learningRate`, every name in either spelling.

A path that begins with neither `metadata` nor `spec` begins inside `spec`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from mdctl.spec.errors import SpecError
from mdctl.spec.job import DiffusionJob, JobSpec

TOP = ("metadata", "spec")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A place in a job that a value can be written to."""

    path: tuple[str, ...]
    """Names from the top, as YAML spells them."""
    types: frozenset[type]
    """What the value may be, with `NoneType` where null is a value."""
    is_entry: bool = False
    """Whether the place is one that the user names: a label, a variable."""

    @property
    def is_text(self) -> bool:
        """Whether a value is text, so that `12:30` and `no` are taken as written."""
        return self.types - {NoneType} == {str}

    def holding(self, value: object) -> dict[str, Any]:
        """Return the mapping that holds a value at this place and nothing else."""
        for name in reversed(self.path):
            value = {name: value}
        assert isinstance(value, dict)
        return value


def find_field(text: str, also: tuple[str, ...] = ()) -> Field:
    """Return the field at a path.

    Raises:
        SpecError: there is no such field; the message names the nearest, or the nearest of the `also` known names.
    """
    names = text.split(".")
    path: list[str] = [] if names[0] in TOP else ["spec"]
    part: type[BaseModel] = JobSpec if path else DiffusionJob
    for depth, name in enumerate(names):
        alias = _alias(part, name)
        if alias is None:
            raise SpecError(f"{'.'.join([*names[:depth], name])!r} names no field; {_nearest(text, also)}")
        path.append(alias)
        types = frozenset(_types(_annotation(part, alias)))
        rest = names[depth + 1 :]
        if not rest:
            return Field(path=tuple(path), types=types)
        if dict in types:
            return Field(path=(*path, ".".join(rest)), types=frozenset({str}), is_entry=True)
        inner = child(part, name)
        if inner is None:
            raise SpecError(f"{'.'.join(names[: depth + 1])!r} is one value and has no field {rest[0]!r}")
        part = inner
    raise AssertionError(text)


@cache
def field_paths() -> tuple[str, ...]:
    """Return the path of every field, from inside `spec`, parts before what they hold."""
    return (*_paths(JobSpec, ""), *(f"metadata.{path}" for path in _paths(_part(DiffusionJob, "metadata"), "")))


def in_yaml_spelling(data: Mapping[str, Any], part: type[BaseModel] = DiffusionJob, where: str = "") -> dict[str, Any]:
    """Return a mapping with every field's name as YAML spells it; names of no field stay.

    Raises:
        SpecError: a field is there in both spellings.
    """
    result: dict[str, Any] = {}
    for name, value in data.items():
        alias = _alias(part, name) or name
        if alias in result:
            raise SpecError(f"{where}{alias} is given twice, as {alias!r} and in the other spelling; keep one")
        inner = child(part, name)
        nested = inner is not None and isinstance(value, Mapping)
        result[alias] = in_yaml_spelling(value, inner, f"{where}{alias}.") if inner and nested else value
    return result


def child(part: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Return the type of a field of a part, by either spelling, where it is a part itself."""
    alias = _alias(part, name)
    types = _types(_annotation(part, alias)) if alias else ()
    return next((t for t in types if issubclass(t, BaseModel)), None)


def _nearest(text: str, others: tuple[str, ...]) -> str:
    last = text.rpartition(".")[2]
    by_last = {path.rpartition(".")[2]: path for path in reversed(field_paths())}
    near = (
        get_close_matches(text, (*others, *field_paths()), n=1, cutoff=0.75)
        or [by_last[name] for name in get_close_matches(last, by_last, n=1, cutoff=0.75)]
        or get_close_matches(text, (*others, *field_paths()), n=1, cutoff=0.0)
    )
    return f"the nearest is {near[0]}"


def _alias(part: type[BaseModel], name: str) -> str | None:
    for python_name, field in part.model_fields.items():
        if name in (python_name, field.alias):
            return field.alias or python_name
    return None


def _annotation(part: type[BaseModel], alias: str) -> object:
    return next(field.annotation for name, field in part.model_fields.items() if alias in (name, field.alias))


def _part(part: type[BaseModel], name: str) -> type[BaseModel]:
    found = child(part, name)
    assert found is not None
    return found


def _types(annotation: object) -> Iterator[type]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for option in get_args(annotation):
            yield from _types(option)
    elif origin is Literal:
        yield from (type(value) for value in get_args(annotation))
    elif isinstance(origin or annotation, type):
        yield origin or annotation  # type: ignore[misc]  # the line above says that it is a type


def _paths(part: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in part.model_fields.items():
        alias = field.alias or name
        yield prefix + alias
        inner = child(part, name)
        if inner is not None:
            yield from _paths(inner, f"{prefix}{alias}.")
