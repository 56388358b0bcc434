"""The verbs of the command line, each imported and built when it is asked for: a person waits for one, not for all."""

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup


class Verbs(Mapping[str, Any]):
    """Commands by name. `where` says for each "module:attribute": a function, or a Typer of several."""

    def __init__(self, where: Mapping[str, str]) -> None:
        self._where = where

    def __getitem__(self, name: str) -> Any:
        return _built(name, self._where[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def group_of(where: Mapping[str, str]) -> type[TyperGroup]:
    """Return the class of a group that has these verbs."""

    class Group(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = cast(MutableMapping[str, Any], Verbs(where))

    return Group


@cache
def _built(name: str, where: str) -> Any:
    module, _, attribute = where.partition(":")
    found = getattr(import_module(f"{__package__}.{module}"), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name=name)(found)
    return typer.main.get_command(alone)
