"""Checkpoints that are whole: committed, and with every file that their seals name, in its size."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mdctl.results.store import Entry, Store, as_object, is_remote, read_all
from mdctl.spec.outputs import COMMITTED, INTEGERS, ITEMS, SEAL

INTEGERS_FILE = f"{INTEGERS}/metadata"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A committed checkpoint."""

    step: int
    files: tuple[Entry, ...]
    damage: str | None  # None: it is whole

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(entry.size for entry in self.files)


def read_checkpoints(store: Store, folder: str) -> list[Checkpoint]:
    """Return the committed checkpoints in a folder, the first step first."""
    found: defaultdict[int, dict[str, Entry]] = defaultdict(dict)
    prefix = f"{folder}/" if folder else ""
    for entry in store.files(folder):
        step, _, name = entry.name.removeprefix(prefix).partition("/")
        if name and step.isascii() and step.isdigit():
            found[int(step)][name] = entry
    return [
        Checkpoint(step=step, files=tuple(files.values()), damage=_damage(store, files))
        for step, files in sorted(found.items())
        if COMMITTED in files or not is_remote(store)
    ]


def _damage(store: Store, files: Mapping[str, Entry]) -> str | None:
    """Return what is wrong with a checkpoint in a few words; None if nothing is."""
    if ITEMS not in files or INTEGERS_FILE not in files:
        return "its metadata is missing"
    items = as_object(store.read(files[ITEMS].name)).get("item_handlers")
    if not isinstance(items, dict | list):
        return "its metadata is cut short"
    return next(_damages(store, files, [item for item in items if item != INTEGERS]), None)


def _damages(store: Store, files: Mapping[str, Entry], items: list[str]) -> Iterator[str]:
    names = {item: files[f"{item}/{SEAL}"].name for item in items if f"{item}/{SEAL}" in files}
    seals = read_all(store, names.values())
    for item in items:
        sealed = as_object(seals.get(names.get(item, ""), b""))
        if not sealed:
            yield f"{item} has no seal, or half of one"
        for name, size in sealed.items():
            entry = files.get(f"{item}/{name}")
            if entry is None:
                yield f"{item}/{name} is missing"
            elif entry.size != size:
                yield f"{item}/{name} has {entry.size} bytes of {size}"
