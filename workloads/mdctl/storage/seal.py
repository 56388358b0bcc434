"""A seal on a folder: the name and size of every file in it, written last.

Orbax commits a checkpoint as a whole, so a killed job leaves none half-written. What it cannot see is what happens
later: a copy that was cut short, a disk that lost its last blocks, a file removed by hand. Sizes tell, at the price of
a listing, however large the files are.
"""

import json
from collections.abc import Iterator

from etils import epath

from mdctl.spec.outputs import SEAL


def write_seal(folder: epath.Path) -> None:
    """Record the files of a folder that is complete."""
    (folder / SEAL).write_text(json.dumps(dict(sorted(_sizes(folder)))))


def damage(folder: epath.Path) -> str | None:
    """Return what is wrong with a sealed folder in a few words; None if nothing is."""
    try:
        sealed: dict[str, int] = json.loads((folder / SEAL).read_text())
    except FileNotFoundError:
        return f"{folder.name} has no seal"
    except ValueError:
        return f"{folder.name}/{SEAL} is cut short"
    present = dict(_sizes(folder))
    for name, size in sealed.items():
        if name not in present:
            return f"{folder.name}/{name} is missing"
        if present[name] != size:
            return f"{folder.name}/{name} has {present[name]} bytes of {size}"
    return None


def _sizes(folder: epath.Path, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the name and size of every file below a folder (`walk` loses the scheme of `gs://`)."""
    for path in folder.iterdir():
        name = f"{prefix}{path.name}"
        if path.is_dir():
            yield from _sizes(path, f"{name}/")
        else:
            yield name, path.stat().length
