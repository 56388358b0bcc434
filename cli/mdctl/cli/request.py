"""From what a person typed to a DiffusionJob, by laying one mapping over another:

    the user's settings  <  preset  <  recipe, or file  <  size of the recipe  <  options  <  overrides, the last on top

With `--local` the settings, which are for clusters, are left out.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdctl.cli.options import Preset
from mdctl.cli.settings import read_settings
from mdctl.render import xpk
from mdctl.spec.errors import SpecError
from mdctl.spec.fields import find_field, in_yaml_spelling
from mdctl.spec.job import DiffusionJob
from mdctl.spec.merging import Change, changes, combine, merge
from mdctl.spec.overrides import override_layer
from mdctl.spec.reading import parse_job, read_mapping
from mdctl.spec.recipes import FULL, find_recipe, recipe_names
from mdctl.spec.slices import describe

LOCAL_SIZE = "small"

Layer = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Local:
    """This computer as a slice."""

    processes: int = 1
    devices_per_process: int = 1

    @property
    def slice(self) -> str:
        """Return the slice's name."""
        return f"cpu-{self.processes}x{self.devices_per_process}"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asked for."""

    source: str
    """A recipe's name, or the path of a file."""
    asked: Layer
    """What options and overrides say."""
    size: str | None = None
    """Of the recipe; None is full, or small with `local`."""
    local: Local | None = None
    fresh_name: bool = False
    """Whether a name that nobody gave ends in five random characters."""
    preset: Preset | None = None
    """The kind of cluster that it is for."""

    @property
    def resolved_size(self) -> str | None:
        """Return the size in effect; None where the source is a file, which has one only."""
        if self.source not in recipe_names():
            return None
        return self.size or (LOCAL_SIZE if self.local else FULL)

    def job(self) -> DiffusionJob:
        """Return the job that is asked for.

        Raises:
            SpecError: there is none such, or it is not valid.
        """
        job = self._base()
        if self.local:
            job = merge(job, {"spec": {"slice": self.local.slice, "numSlices": 1, "hardware": None}})
        job = merge(job, self.asked)
        name = str(job["metadata"].get("name"))
        if self.fresh_name and self.resolved_size and "name" not in self.asked.get("metadata", {}):
            name = f"{name}-{random_suffix()}"
            job = merge(job, {"metadata": {"name": name}})
        under = {"spec": {"outputDir": f"outputs/{name}"}} if self.local else self._defaults(job, name)
        resolved = parse_job(_fill(job, under), where=self.source)
        if self.preset is not None:
            xpk.check(resolved)
        if self.local and resolved.spec.resolved_slice.kind != "cpu":
            raise SpecError(f"slice {resolved.spec.slice} is not this computer; leave it out, or leave --local out")
        return resolved

    def explanation(self, job: DiffusionJob) -> list[str]:
        """Return, a line each, what the slice, the mesh and the size of the job resolved to."""
        lines = [f"  {path}: {_shown(before)} -> {_shown(after)}" for path, before, after in self._size_changes()]
        return [*explanation(job), *([f"size {self.resolved_size} changes"] if lines else []), *lines]

    def _defaults(self, job: Layer, name: str) -> Layer:
        settings = read_settings().layer(name)
        return settings if self.preset is None else _fill(xpk.preset(name, job["spec"].get("slice")), settings)

    def _size_changes(self) -> list[Change]:
        if self.resolved_size in (None, FULL):
            return []
        recipe = find_recipe(self.source)
        full, sized = (parse_job(recipe.job(size), self.source) for size in (FULL, self.resolved_size or FULL))
        return changes(full.model_dump(by_alias=True)["spec"], sized.model_dump(by_alias=True)["spec"])

    def _base(self) -> dict[str, Any]:
        size = self.resolved_size
        if size is not None:
            return find_recipe(self.source).job(size)
        if not _is_path(self.source):
            find_recipe(self.source)
        if self.size is not None:
            raise SpecError(f"--size {self.size}: {self.source} is a file, which has one size; leave --size out")
        data = in_yaml_spelling(read_mapping(Path(self.source)))
        for name in ("metadata", "spec"):
            if not isinstance(data.setdefault(name, {}), dict):
                raise SpecError(f"{self.source}: {name} should hold fields, not {type(data[name]).__name__}")
        return data


def this_computer(local: bool, processes: int, devices_per_process: int) -> Local | None:
    """Return this computer as a slice where `--local` is given; without it, its sizes are mistakes."""
    if local:
        return Local(processes=processes, devices_per_process=devices_per_process)
    if (processes, devices_per_process) != (1, 1):
        raise SpecError("--processes and --devices-per-process cut up this computer: add --local, or give a --slice")
    return None


def asked(options: Mapping[str, object], overrides: Sequence[str]) -> dict[str, Any]:
    """Return options, by the path of their field, and the overrides after them as one layer; None says nothing."""
    layer: dict[str, Any] = {}
    for path, value in options.items():
        if value is not None:
            layer = combine(layer, find_field(path).holding(value))
    return combine(layer, override_layer(overrides))


def random_suffix() -> str:
    """Return five characters that spell no word: 27 of them, so 14 million suffixes."""
    return "".join("bcdfghjklmnpqrstvwxz2456789"[byte % 27] for byte in os.urandom(5))


def explanation(job: DiffusionJob) -> list[str]:
    """Return what a job's slice and mesh resolved to, a line each."""
    spec = job.spec
    shards = [f"prompts divided among {spec.num_shards} programs, each alone on a slice"] if spec.fans_out else []
    return [f"slice {describe(spec.resolved_slice, spec.num_slices)}", *shards, spec.layout.describe()]


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value


def _is_path(source: str) -> bool:
    return "/" in source or source.endswith((".yaml", ".yml", ".json")) or os.path.exists(source)


def _fill(job: Layer, under: Layer) -> dict[str, Any]:
    """Return a job with what it leaves unset taken from a layer under it."""
    result = dict(job)
    for name, value in under.items():
        above = result.get(name)
        if isinstance(value, Mapping) and isinstance(above, Mapping | None):
            result[name] = _fill(above or {}, value)
        elif above is None:
            result[name] = value
    return result
