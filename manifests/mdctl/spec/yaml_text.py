"""YAML as mdctl reads it: the safe subset, where a field that stands twice and a value inside itself are mistakes."""

from collections.abc import Hashable
from typing import Any

import yaml

from mdctl.spec.errors import SpecError


class _Loader(yaml.SafeLoader):
    def construct_document(self, node: yaml.Node) -> Any:
        return self.construct_object(node, deep=True)  # deep: a node inside itself is an error, not a loop

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text: str, where: str) -> Any:
    """Return the one value in a YAML text.

    Raises:
        SpecError: the text is not YAML; says where.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SpecError(f"{where}: is not YAML: {error.problem or error.context}{at}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{where}: is not YAML: {' '.join(str(error).split())[:200]}") from None
