"""Published configs: the settings of a config.json as fields of ours, refusing by name what is not implemented.

Our configs name their fields as the published class does and have its defaults, so that a setting which a config.json
leaves out means what it means there.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from numbers import Real
from typing import Any

from mdctl.spec.errors import WeightsError


def read_settings(
    config: type,
    published: Mapping[str, Any],
    *,
    fixed: Mapping[str, Collection[Any]],
    ignored: Collection[str] = (),
) -> dict[str, Any]:
    """Return the settings that `config` has fields for, lists as tuples.

    `fixed` holds the values implemented of a setting that is not a field; `ignored` names what does not matter here.
    Raises WeightsError listing every other setting, and every value unlike its field's default in kind.
    """
    defaults = {field.name: field.default for field in fields(config)}
    settings = {name: value for name, value in published.items() if not name.startswith("_") and name not in ignored}
    sizes = {name: _as_tuple(value) for name, value in settings.items() if name in defaults}
    unlike = [
        f"{name}: {value!r} is not like {defaults[name]!r}"
        for name, value in sizes.items()
        if not _is_like(value, defaults[name])
    ]
    foreign = [
        f"{name}: {value!r} is not implemented" + (f", only {_alternatives(fixed[name])}" if name in fixed else "")
        for name, value in settings.items()
        if name not in defaults and value not in fixed.get(name, ())
    ]
    refuse([*unlike, *foreign], published)
    return sizes


def refuse(problems: Collection[str], published: Mapping[str, Any]) -> None:
    """Raise WeightsError with all that is wrong with a config.json, if anything is."""
    if problems:
        name = published.get("_class_name") or published.get("architectures")
        raise WeightsError(f"this config.json ({name}) asks for what is not implemented:\n  " + "\n  ".join(problems))


def _alternatives(values: Collection[Any]) -> str:
    return " or ".join(map(repr, values))


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _is_like(value: object, default: object) -> bool:
    """Whether a value has its default's type; whole numbers must be positive."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(_is_like(part, default[0]) for part in value)
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, int):
        return isinstance(value, int) and value > 0
    return isinstance(value, Real) if isinstance(default, float) else isinstance(value, type(default))
