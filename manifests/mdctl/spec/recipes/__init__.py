"""Recipes: jobs that are known to work, as short differences from the defaults, shipped with the package.

Each is a YAML file beside this one. Its `spec` is the full size; `sizes` lay other sizes over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from mdctl.spec.errors import SpecError
from mdctl.spec.job import API_VERSION
from mdctl.spec.merging import merge
from mdctl.spec.reading import parse_mapping

FULL = "full"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named job in several sizes."""

    name: str
    description: str
    spec: Mapping[str, Any]
    sizes: Mapping[str, Mapping[str, Any]]

    @property
    def size_names(self) -> tuple[str, ...]:
        """Return every size there is, the full one first."""
        return FULL, *self.sizes

    def job(self, size: str = FULL) -> dict[str, Any]:
        """Return the mapping of a DiffusionJob of one size, named as the recipe is.

        Raises:
            SpecError: there is no such size.
        """
        if size not in self.size_names:
            raise SpecError(f"recipe {self.name} has no size {size!r}; there are: {', '.join(self.size_names)}")
        job = {
            "apiVersion": API_VERSION,
            "kind": "DiffusionJob",
            "metadata": {"name": self.name},
            "spec": dict(self.spec),
        }
        return merge(job, {"spec": self.sizes.get(size, {})})


def recipe_names() -> tuple[str, ...]:
    """Return the name of every recipe, sorted."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")))


@cache
def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        SpecError: there is no such recipe; the message names the nearest.
    """
    if name not in recipe_names():
        near = get_close_matches(name, recipe_names(), n=1, cutoff=0.0)[0]
        raise SpecError(f"no recipe is called {name!r}; the nearest is {near!r} (all: `mdctl recipes`)")
    data = parse_mapping((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), where=f"recipe {name}")
    return Recipe(name=name, **data)


def _folder() -> Traversable:
    return files(__name__)
