"""The base of every part of a DiffusionJob: unknown fields refused, camelCase in YAML, frozen in Python."""

from pydantic import BaseModel, ConfigDict
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
