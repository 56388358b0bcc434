"""DiffusionJob as a JSON schema, for editors, and as a CustomResourceDefinition, for the API server.

The API server takes structural schemas only (Kubernetes documentation, "Specifying a structural schema"): no `$ref`,
no `const`, `nullable` in place of a union with null, bounds that exclude as booleans, free keys by
`additionalProperties` alone. Defaults are left to the types, so that an object stays what its author wrote.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from mdctl.spec.job import API_VERSION, DiffusionJob, JobSpec
from mdctl.spec.part import Part

Schema = dict[str, Any]

GROUP, VERSION = API_VERSION.split("/")


def json_schema() -> Schema:
    """Return the JSON schema (2020-12) of a DiffusionJob as YAML spells it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_described(DiffusionJob)}


def crd() -> Schema:
    """Return the CustomResourceDefinition of DiffusionJob."""
    schema = _described(JobSpec)
    spec = _structural(schema, schema.get("$defs", {}))
    columns = [
        {"name": name, "type": "string", "jsonPath": f".spec.{path}"}
        for name, path in (("Task", "task"), ("Model", "model.name"), ("Slice", "slice"))
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": _object(DiffusionJob.__doc__ or "", spec)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"diffusionjobs.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "DiffusionJob",
                "listKind": "DiffusionJobList",
                "plural": "diffusionjobs",
                "singular": "diffusionjob",
                "shortNames": ["djob"],
            },
            "versions": [version],
        },
    }


def _object(description: str, spec: Schema) -> Schema:
    top = {"apiVersion": "string", "kind": "string", "metadata": "object"}
    properties = {name: {"type": kind} for name, kind in top.items()} | {"spec": spec}
    return {"description": description, "type": "object", "required": ["spec"], "properties": properties}


KEPT = (
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "type",
)
"""Keywords that mean the same to the API server, but for `exclusiveMinimum` and `exclusiveMaximum`."""


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a JSON schema of pydantic's as a structural one."""
    schema = _without_references(schema, definitions)
    result = {name: schema[name] for name in KEPT if name in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in result:
            result |= {bound.lower(): result[f"exclusive{bound}"], f"exclusive{bound}": True}
    if "properties" in schema:
        result["properties"] = {name: _structural(part, definitions) for name, part in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
    if schema.get("nullable"):
        result["nullable"] = True
        if "enum" in result:  # the API server finds null in no list, be it in there or not
            result["pattern"] = f"^({'|'.join(result.pop('enum'))})$"
    values = _free_values(schema)
    if values is not None:
        result["additionalProperties"] = _structural(values, definitions)
    return result


def _without_references(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a schema with what `$ref` and a union with null stand for written in its place."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return _without_references(definitions[name] | {k: v for k, v in schema.items() if k != "$ref"}, definitions)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        assert len(options) == 1, f"a union that the API server cannot have: {schema}"
        rest = {name: value for name, value in schema.items() if name != "anyOf"}
        return _without_references(options[0] | rest | {"nullable": True}, definitions)
    return schema


def _free_values(schema: Schema) -> Schema | None:
    """Return the schema of the values under free keys."""
    patterns = schema.get("patternProperties")
    if patterns:
        return dict(next(iter(patterns.values())))
    values = schema.get("additionalProperties")
    return dict(values) if isinstance(values, dict) else None


def _described(top: type[Part]) -> Schema:
    """Return pydantic's schema of a part, each field with the docstring below it as its description.

    Pydantic can read these itself, but then does so whenever a part is imported, which a person at a prompt waits for.
    """
    schema = top.model_json_schema(by_alias=True)
    schemas = {top.__name__: schema, **schema["$defs"]}
    for part in _subclasses(Part):
        properties = schemas.get(part.__name__, {}).get("properties", {})
        texts = {name: text for base in reversed(part.__mro__) for name, text in _docstrings(base).items()}
        for field in properties.values():
            field.pop("title", None)  # pydantic's: the name again, in one word
        for name, text in texts.items() if properties else ():
            properties[part.model_fields[name].alias].setdefault("description", text)
    return schema


def _subclasses(part: type[Part]) -> Iterator[type[Part]]:
    for subclass in part.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _docstrings(part: type) -> dict[str, str]:
    """Return the strings that stand below the fields in the source of a part."""
    if not issubclass(part, Part) or part is Part:
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[part.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == part.__name__)
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
