"""YAML as mdctl reads and writes it.

Read: the safe subset, where a field that stands twice and a value inside itself are mistakes. Written: for people, with
fields in the order they come, texts of several lines as blocks, no aliases; and what is written reads back the same.
"""

from collections.abc import Hashable
from typing import Any

import yaml

from mdctl.spec.errors import SpecError

RARE_BREAKS = "\r\x85\u2028\u2029"
"""Line breaks to YAML, which folds them unless they are escaped."""


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


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if any(character in value for character in RARE_BREAKS) else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(value: object) -> str:
    """Return plain data as a YAML text."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
