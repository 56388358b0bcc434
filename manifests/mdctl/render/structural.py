"""Values against structural schemas: the part of JSON Schema that Kubernetes writes its own schemas in.

A validator for all of JSON Schema takes as long to import as everything else that `mdctl render` does.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def problems(value: object, schema: Schema, definitions: Schema, path: str = "") -> Iterator[str]:
    """Yield what a schema refuses of a value, each with its path.

    A field that an object's schema does not name is refused, as the API server does in strict validation.
    `definitions` are what `$ref` refers to, by the last part of its text.
    """
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    options = schema.get("anyOf") or schema.get("oneOf") or (schema,)
    if not any(_is_of_type(value, option.get("type")) for option in options):
        wanted = " or ".join(repr(name) for option in options for name in _names(option["type"]) if name != "null")
        yield f"{path}: {value!r} is not of type {wanted}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {', '.join(map(str, schema['enum']))}"
    elif isinstance(value, dict):
        yield from _of_object(value, schema, definitions, path)
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield f"{path}: {len(value)} items, at most {schema['maxItems']} fit"
        for index, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), definitions, f"{path}[{index}]")
    else:
        yield from _of_scalar(value, schema, path)


def _of_object(value: dict[str, object], schema: Schema, definitions: Schema, path: str) -> Iterator[str]:
    fields = schema.get("properties", {})
    others = schema.get("additionalProperties", not fields)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name!r} is required"
    for name, item in value.items():
        inner = fields.get(name, others)
        if inner is False:
            yield f"{path}: {name!r} was unexpected"
        elif inner is not True:
            yield from problems(item, inner, definitions, f"{path}.{name}" if path else name)


def _of_scalar(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: {value!r} is less than {schema['minimum']}"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield f"{path}: {value!r} has {len(value)} characters, at most {schema['maxLength']} fit"
    if "minLength" in schema and len(value) < schema["minLength"]:
        yield f"{path}: {value!r} has {len(value)} characters, at least {schema['minLength']} are needed"


def _is_of_type(value: object, wanted: str | list[str] | None) -> bool:
    if wanted is None:
        return True
    kinds = tuple(kind for name in _names(wanted) for kind in TYPES[name])
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _names(wanted: str | list[str]) -> list[str]:
    return [wanted] if isinstance(wanted, str) else wanted
