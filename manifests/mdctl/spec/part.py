"""The base of every part of a DiffusionJob: unknown fields refused, camelCase in YAML, frozen in Python.

Two things hold for every field: a boolean is no number, and text can be written to a file, an environment or a cluster.
"""

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """A piece of the spec. YAML and the CRD spell fields in camelCase; snake_case is read as well."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_is_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and _is_number(field.annotation):
            raise ValueError(f"should be a number, not {str(value).lower()}")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _text_can_be_written(cls, value: Any) -> Any:
        for text in _texts(value):
            if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
                raise ValueError(
                    f"{reprlib.repr(text)} holds a NUL or half a character, which no file takes; leave it out"
                )
        return value


def _is_number(annotation: object) -> bool:
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from (item for item in value if isinstance(item, str))
    elif isinstance(value, Mapping):
        yield from (*value.keys(), *value.values())
