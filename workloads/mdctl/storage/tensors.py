"""A folder of tensors in the Hugging Face layout: one safetensors file, or several and an index.

Reading gives slices, so that nobody holds a whole tensor who needs a part; writing makes the folder under another name
and renames it when it is whole.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mdctl.spec.errors import OutputError, WeightsError

# The names under which diffusers and transformers publish.
STEMS = ("diffusion_pytorch_model", "model")

MAX_FILE_BYTES = 2 * 2**30


@runtime_checkable
class Slice(Protocol):
    """A stored tensor, of which any part can be read."""

    def get_shape(self) -> list[int]:
        """Return the shape of the whole."""
        ...

    def get_dtype(self) -> str:
        """Return the stored dtype, as safetensors writes it."""
        ...

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        """Read a part."""
        ...


class Spec(NamedTuple):
    """What a tensor to be written will be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        """Return its size in the file."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def open_tensors(folder: Path) -> dict[str, Slice]:
    """Open every tensor of a folder, or of one file; only headers are read until a slice is taken.

    Raises WeightsError if there are no weights, a file that the index names is missing, or a file is damaged.
    """
    if folder.is_file():
        return _open_file(folder)
    for stem in STEMS:
        index, single = folder / f"{stem}.safetensors.index.json", folder / f"{stem}.safetensors"
        if index.is_file():
            return _open_indexed(index)
        if single.is_file():
            return _open_file(single)
    names = " or ".join(f"{stem}.safetensors[.index.json]" for stem in STEMS)
    raise WeightsError(f"{folder}: no weights here, there is no {names}. {_contents(folder)}")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file that weights come with; raise WeightsError if there is none."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file. {_contents(path.parent)}") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error}). Fetch it again.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds a {type(content).__name__} where an object should be. Fetch it again.")
    return content


def write_tensors(
    folder: Path,
    specs: Mapping[str, Spec],
    fetch: Callable[[str], np.ndarray],
    *,
    config: Mapping[str, Any],
    stem: str = STEMS[0],
    max_file_bytes: int = MAX_FILE_BYTES,
) -> None:
    """Write tensors and their config.json, fetching those of one file at a time; replaces what the folder held.

    Raises OutputError if the folder cannot be written.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        files = _name_files(_divide(specs, max_file_bytes), stem)
        for name, members in files.items():
            save_file({member: fetch(member) for member in members}, partial / name, metadata={"format": "pt"})
        if len(files) > 1:
            _write_index(partial / f"{stem}.safetensors.index.json", files, specs)
        (partial / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n")
        _replace(partial, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise OutputError(
            f"{folder}: weights cannot be written ({error}). Free space or name another folder."
        ) from error


def _open_indexed(index: Path) -> dict[str, Slice]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise WeightsError(f"{index}: has no weight_map from tensors to files. Fetch it again.")
    files = {file: _open_file(index.parent / file) for file in sorted(set(places.values()))}
    stray = [f"{name} in {file}" for name, file in places.items() if name not in files[file]]
    if stray:
        raise WeightsError(
            f"{index}: {len(stray)} tensors are not where it says, as {stray[0]}. Fetch the folder again."
        )
    return {name: files[file][name] for name, file in places.items()}


def _open_file(path: Path) -> dict[str, Slice]:
    try:
        file: Any = safe_open(path, framework="np")
        return {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError:
        raise WeightsError(f"{path}: the index names this file, but it is not there. Fetch it again.") from None
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: is damaged or cut short ({error}). Fetch it again.") from error


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return "The folder itself does not exist."
    names = sorted(path.name for path in folder.iterdir())
    return f"The folder holds: {', '.join(names[:8]) or 'nothing'}{', ...' if len(names) > 8 else ''}."


def _divide(specs: Mapping[str, Spec], limit: int) -> Iterator[list[str]]:
    """Group names, in order, into files of at most `limit` bytes, or of one tensor."""
    group: list[str] = []
    size = 0
    for name, spec in specs.items():
        if group and size + spec.num_bytes > limit:
            yield group
            group, size = [], 0
        group.append(name)
        size += spec.num_bytes
    yield group


def _name_files(groups: Iterator[list[str]], stem: str) -> dict[str, list[str]]:
    members = list(groups)
    if len(members) == 1:
        return {f"{stem}.safetensors": members[0]}
    count = len(members)
    return {f"{stem}-{number:05d}-of-{count:05d}.safetensors": group for number, group in enumerate(members, start=1)}


def _write_index(path: Path, files: Mapping[str, list[str]], specs: Mapping[str, Spec]) -> None:
    total = sum(spec.num_bytes for spec in specs.values())
    places = {name: file for file, members in files.items() for name in members}
    path.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=2) + "\n")


def _replace(source: Path, target: Path) -> None:
    """Put a folder in the place of another; what was there stays until the new one is whole."""
    former = target.with_name(f".{target.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if target.exists():
        os.rename(target, former)
    os.rename(source, target)
    shutil.rmtree(former, ignore_errors=True)
