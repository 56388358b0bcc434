"""Published configs: the settings of a config.json as fields of ours, refusing by name what is not implemented.

Our configs name their fields as the published class does and have its defaults, so that a setting which a config.json
leaves out means what it means there.
"""

import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

from mdctl.spec.catalogue import CatalogueModel
from mdctl.spec.errors import WeightsError


@runtime_checkable
class Settings(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def read_settings(
    config: type,
    published: Mapping[str, Any],
    *,
    fixed: Mapping[str, Collection[Any]],
    ignored: Collection[str] = (),
    spelling: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the settings that `config` has fields for, by our names and in the types of the fields' defaults.

    `fixed` holds the values implemented of a setting that is not a field; `ignored` names what does not matter here;
    `spelling` gives the published name of a field that has another.

    Raises WeightsError listing every other setting, and every value unlike its field's default in kind.
    """
    known = {spelling.get(field.name, field.name): field for field in fields(config)}
    settings = {name: value for name, value in published.items() if not name.startswith("_") and name not in ignored}
    unlike = [
        f"{name}: {settings[name]!r} is not like {field.default!r}"
        for name, field in known.items()
        if name in settings and not _is_like(settings[name], field.default)
    ]
    foreign = [
        f"{name}: {value!r} is not implemented" + (f", only {_alternatives(fixed[name])}" if name in fixed else "")
        for name, value in settings.items()
        if name not in known and value not in fixed.get(name, ())
    ]
    refuse([*unlike, *foreign], published)
    return {field.name: _typed(settings[name], field.default) for name, field in known.items() if name in settings}


def refuse(problems: Collection[str], published: Mapping[str, Any]) -> None:
    """Raise WeightsError with all that is wrong with a config.json, if anything is."""
    if problems:
        name = published.get("_class_name") or published.get("architectures")
        raise WeightsError(f"this config.json ({name}) asks for what is not implemented:\n  " + "\n  ".join(problems))


def as_named[Config: Settings](found: Config, named: Config, model: CatalogueModel, folder: Path) -> Config:
    """Return the configuration found in a folder; it must be that of the model named, if that is a published one.

    Raises WeightsError if the folder holds another model.
    """
    ours = asdict(named)
    others = {key: value for key, value in asdict(found).items() if value != ours[key]}
    if others and model.weights is not None:
        has, wants = (", ".join(f"{key} {values[key]}" for key in others) for values in (others, ours))
        raise WeightsError(f"{folder} has {has}, but {model.name} has {wants}; change model.name or model.weights")
    return found


def _alternatives(values: Collection[Any]) -> str:
    return " or ".join(map(repr, values))


def _is_like(value: object, default: object) -> bool:
    """Whether a value has its default's type; whole numbers must be positive, others finite."""
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(_is_like(part, default[0]) for part in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, str):
        return isinstance(value, str)
    if isinstance(default, int):
        return isinstance(value, int) and value > 0
    assert isinstance(default, float), default
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _typed(value: Any, default: Any) -> Any:
    """Return a value, found to be like its default, in its default's type."""
    if isinstance(default, tuple):
        return tuple(_typed(part, default[0]) for part in value)
    return type(default)(value)
