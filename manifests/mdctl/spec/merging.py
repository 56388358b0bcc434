"""A job from layers: a recipe, its size, options and overrides, each a mapping laid over the last."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

RIVALS = (
    ("spec.batch", "globalSize", "perDevice"),
    ("spec.sampling", "prompts", "promptsFile"),
)
"""Two ways to say one thing: where a layer says it one way, what a layer below said the other way is gone."""


class Change(NamedTuple):
    """One field in two jobs."""

    path: str
    before: object
    after: object


def merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `layer` over it: mappings merge, every other value replaces, null included."""
    return _over(base, layer, RIVALS)


def combine(layer: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return one layer from what is said in two places at once: two ways to say one thing both stay, to be refused."""
    return _over(layer, more, ())


def _over(
    base: Mapping[str, Any], layer: Mapping[str, Any], rivals: Sequence[tuple[str, ...]], where: str = ""
) -> dict[str, Any]:
    result = dict(base)
    for part, *names in rivals:
        said = [name for name in names if part == where and layer.get(name) is not None]
        if said:
            result = {name: value for name, value in result.items() if name not in names}
    for name, value in layer.items():
        below = result.get(name)
        if isinstance(value, Mapping):
            below = below if isinstance(below, Mapping) else {}
            value = _over(below, value, rivals, f"{where}.{name}" if where else name)  # noqa: PLW2901 - the merged one
        result[name] = value
    return result


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return every field whose value differs, in the order of `before`."""
    left, right = dict(_leaves(before, "")), dict(_leaves(after, ""))
    paths = dict.fromkeys([*left, *right])
    return [Change(path, left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]


def _leaves(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
