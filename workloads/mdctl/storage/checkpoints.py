"""Checkpoints of a training state: saved in the background, committed whole, the newest few kept.

    <directory>/<step>/params/ opt_state/ ema/     arrays, each folder sealed
    <directory>/<step>/integers/                   step, seed, batch: what the rest of a run is a function of
    <directory>/<step>.damaged-<n>/                what was found damaged and passed over

Orbax writes each step under a temporary name and renames it (on `gs://`: adds a last file), so what a kill leaves
behind is not a checkpoint; `mdctl.storage.seal` tells what became damaged afterwards. A state is restored into
whatever mesh its abstract form asks for.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from mdctl.spec.errors import MdctlError, OutputError, SpecError
from mdctl.spec.outputs import INTEGERS, ITEMS
from mdctl.storage.output import as_path
from mdctl.storage.seal import damage, write_seal

ARRAYS = ("params", "opt_state", "ema")
"""Items of a checkpoint that hold arrays; `ema` only where an average is kept."""

SHOWN_DIFFERENCES = 5

DISK_FULL = ("No space left on device", "Disk quota exceeded")
"""How the operating system says so, inside whatever TensorStore makes of it."""

Trees = Mapping[str, Any]
"""Item -> tree of arrays, or of their abstract form."""


class Sealed(ocp.StandardCheckpointHandler):  # type: ignore[misc] # orbax ships no types
    """Writes one item's arrays, and its seal before the checkpoint is committed."""

    def finalize(self, directory: epath.Path) -> None:
        """Seal the folder; called once, when all hosts have written."""
        super().finalize(directory)
        write_seal(directory)


class Checkpoints:
    """The checkpoints of one directory. Every host calls the same methods in the same order."""

    def __init__(self, directory: str, *, keep: int) -> None:
        registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
        for item in ARRAYS:
            handler = Sealed()
            registry.add(item, ocp.args.StandardSave, handler)
            registry.add(item, ocp.args.StandardRestore, handler)
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True, save_root_metadata=False)
        self._directory = directory
        self._manager = ocp.CheckpointManager(as_path(directory), options=options, handler_registry=registry)

    def save(self, step: int, trees: Trees, integers: Mapping[str, int]) -> None:
        """Copy the state to the host and write it in the background; waits for the save before, and raises its errors.

        The arrays may be donated or deleted once this returns.
        """
        items = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
        items[INTEGERS] = ocp.args.JsonSave(dict(integers))
        with _writing(self._directory):
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)

    def finish(self) -> None:
        """Wait until the save in flight is committed, and raise its errors."""
        with _writing(self._directory):
            self._manager.wait_until_finished()

    def integers(self, step: int) -> dict[str, int]:
        """Return the integers of a checkpoint."""
        items = self._manager.restore(step, args=ocp.args.Composite(**{INTEGERS: ocp.args.JsonRestore()}))
        return dict(items[INTEGERS])

    def restore(self, step: int, abstract: Trees) -> dict[str, Any]:
        """Return the state, laid out as the shardings of its abstract form say.

        Raises:
            SpecError: the checkpoint is of another model or optimiser.
            MdctlError: its files have the right sizes but cannot be read.
        """
        folder = as_path(self._directory) / str(step)
        for name, tree in abstract.items():
            _check(folder / name, tree)
        items = {name: ocp.args.StandardRestore(tree) for name, tree in abstract.items()}
        try:
            return dict(self._manager.restore(step, args=ocp.args.Composite(**items)).items())
        except ValueError as error:
            raise _unreadable(folder, error) from error


def newest_whole(directory: str) -> tuple[int | None, list[str]]:
    """Return the newest step whose checkpoint is whole (None: there is none), and why newer ones are not."""
    damages: list[str] = []
    for step in _committed(directory):
        folder = as_path(directory) / str(step)
        what = _damage(folder)
        if what is None:
            return step, damages
        damages.append(f"{folder}: {what}")
    return None, damages


def set_aside_damaged(directory: str, newest: int | None) -> None:
    """Rename the checkpoints newer than the newest whole one, so that their steps can be saved again."""
    for step in _committed(directory):
        if newest is None or step > newest:
            _rename_aside(as_path(directory) / str(step))


def load_item(directory: str, step: int, item: str, abstract: Any) -> Any:
    """Return one item of a checkpoint, such as `ema`, laid out as its abstract form says.

    Raises:
        SpecError: the checkpoint is of another model.
        MdctlError: its files have the right sizes but cannot be read.
    """
    folder = as_path(directory) / str(step) / item
    _check(folder, abstract)
    with ocp.StandardCheckpointer() as checkpointer:
        try:
            return checkpointer.restore(folder, abstract)
        except ValueError as error:
            raise _unreadable(folder, error) from error


@contextmanager
def _writing(directory: str) -> Iterator[None]:
    """Say what to do about a disk that is full; TensorStore tells of it in words only."""
    try:
        yield
    except (OSError, ValueError) as error:
        if not any(mark in str(error) for mark in DISK_FULL):
            raise
        raise OutputError(
            f"no room for a checkpoint in {directory}; make room, keep fewer (training.checkpoint.keep), "
            f"or name another directory with training.checkpoint.directory"
        ) from error


def _committed(directory: str) -> list[int]:
    folder = as_path(directory)
    return sorted(ocp.utils.checkpoint_steps(folder), reverse=True) if folder.exists() else []


def _damage(folder: epath.Path) -> str | None:
    try:
        items = json.loads((folder / ITEMS).read_text())["item_handlers"]
        json.loads((folder / INTEGERS / "metadata").read_text())
    except (FileNotFoundError, ValueError, KeyError) as error:
        return f"its metadata is missing or cut short ({error})"
    return next((what for item in items if item != INTEGERS and (what := damage(folder / item))), None)


def _rename_aside(folder: epath.Path) -> None:
    number = 0
    while (aside := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    folder.rename(aside)


def _check(folder: epath.Path, abstract: Any) -> None:
    """Compare names and shapes in an item of a checkpoint with those that are wanted."""
    if not folder.exists():
        raise SpecError(f"checkpoint {folder} does not exist: the job that wrote {folder.parent} kept no {folder.name}")
    kept = {leaf.name: leaf.shape for leaf in jax.tree.leaves(Sealed().metadata(folder).tree)}
    wanted = {
        jax.tree_util.keystr(p, simple=True, separator="."): x.shape for p, x in jax.tree.leaves_with_path(abstract)
    }
    names = sorted(name for name in kept.keys() | wanted.keys() if kept.get(name) != wanted.get(name))
    if names:
        lines = [f"  {name}: {kept.get(name, 'not there')}, wanted {wanted.get(name, 'not')}" for name in names]
        more = [f"  ... and {len(lines) - SHOWN_DIFFERENCES} more"] if len(lines) > SHOWN_DIFFERENCES else []
        raise SpecError(
            "\n".join([f"checkpoint {folder} is of another model or optimiser:", *lines[:SHOWN_DIFFERENCES], *more])
            + "\nput the spec back, or name another output directory to start afresh"
        )


def _unreadable(folder: epath.Path, error: ValueError) -> MdctlError:
    return MdctlError(
        f"checkpoint {folder} cannot be read: {str(error)[:800]}\nremove that folder to go on from the one before it"
    )
