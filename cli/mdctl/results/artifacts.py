"""What a job made: checkpoints, models, videos, images, metrics, logs; each is a few files that belong together."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mdctl.results.checkpoints import read_checkpoints
from mdctl.results.jobs import read_spec
from mdctl.results.kinds import Kind
from mdctl.results.opening import open_store
from mdctl.results.store import Entry, Store, as_object
from mdctl.spec.outputs import (
    ATTEMPTS,
    CHECKPOINTS,
    EVALUATION_RECORDS,
    EVALUATIONS,
    JOB,
    MANIFEST,
    METRICS,
    PUBLICATION,
    PUBLISHED,
    SAMPLES,
    SHARDS,
    attempt_number,
    evaluated_step,
)

SUFFIXES = {".mp4": Kind.VIDEO, ".png": Kind.IMAGE}

_DIGITS = re.compile("-[0-9a-f]{8}$")
"""Of a sample's hash, in its file's name but not in its record's."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Files of a job that belong together."""

    kind: Kind
    name: str  # in the output directory: a file, or a folder
    step: int | None = None  # after which it was made; None: that is not counted in steps
    files: tuple[Entry, ...]
    store: Store = field(compare=False, repr=False)
    under: str = ""  # the folder of the output directory in which the store would be, where it is elsewhere
    damage: str | None = None  # what is wrong with it; None: it is whole

    @property
    def location(self) -> str:
        """Return where it is: a path, or an address at `gs://`."""
        return f"{self.store.location}/{self.name.removeprefix(self.under).lstrip('/')}"

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(entry.size for entry in self.files)

    @property
    def modified(self) -> float:
        """Return when it was last changed, in seconds since the epoch."""
        return max(entry.modified for entry in self.files)


def find_artifacts(store: Store, kinds: Collection[Kind] = tuple(Kind)) -> list[Artifact]:
    """Return what the job of an output directory made, of some kinds, in the order of the kinds and then as made."""
    found: list[Artifact] = []
    if Kind.CHECKPOINT in kinds:
        found += _checkpoints(store)
    if Kind.MODEL in kinds:
        found += _published(store)
    if {Kind.VIDEO, Kind.IMAGE} & set(kinds):
        samples = [*_samples(store, SAMPLES), *_samples(store, EVALUATIONS)]
        found += sorted((each for each in samples if each.kind in kinds), key=lambda each: list(Kind).index(each.kind))
    if Kind.METRICS in kinds:
        found += _metrics(store)
    if Kind.LOG in kinds:
        found += _logs(store)
    return found


def job_record(store: Store) -> Artifact | None:
    """Return the resolved spec, without which a copy would not say what it is of; None if no job has written it."""
    entry = store.find(JOB)
    return None if entry is None else Artifact(kind=Kind.METRICS, name=JOB, files=(entry,), store=store)


def _checkpoints(store: Store) -> Iterator[Artifact]:
    """Yield the checkpoints in the output directory, and those that the spec has kept elsewhere."""
    for where, folder, under in _checkpoint_places(store):
        for found in read_checkpoints(where, folder):
            yield Artifact(
                kind=Kind.CHECKPOINT,
                name=f"{CHECKPOINTS}/{found.step}",
                step=found.step,
                files=found.files,
                store=where,
                under=under,
                damage=found.damage,
            )


def _published(store: Store) -> Iterator[Artifact]:
    """Yield what was trained, as others load it; a folder without its record is not whole."""
    record = f"{PUBLISHED}/{PUBLICATION}"
    files = tuple(entry for entry in store.files(PUBLISHED) if not PurePosixPath(entry.name).name.startswith("."))
    if any(entry.name == record for entry in files):
        step = as_object(store.read(record)).get("step")
        yield Artifact(kind=Kind.MODEL, name=PUBLISHED, step=step, files=files, store=store)


def _checkpoint_places(store: Store) -> Iterator[tuple[Store, str, str]]:
    """Yield a store, the folder of checkpoints in it, and what that store is in the output directory."""
    yield store, CHECKPOINTS, ""
    training = read_spec(store).get("training")
    checkpoint = training.get("checkpoint") if isinstance(training, Mapping) else None
    elsewhere = checkpoint.get("directory") if isinstance(checkpoint, Mapping) else None
    if elsewhere:
        yield open_store(str(elsewhere)), "", CHECKPOINTS


def _samples(store: Store, folder: str) -> Iterator[Artifact]:
    """Yield videos and images that have a record; one without is not finished."""
    files = {entry.name: entry for entry in store.files(folder)}
    claimed: defaultdict[str, list[str]] = defaultdict(list)  # record -> files that it may be of
    for name in files:
        path = PurePosixPath(name)
        stems = (path.stem, _DIGITS.sub("", path.stem)) if path.suffix in SUFFIXES else ()
        record = next((each for stem in stems if (each := str(path.with_name(f"{stem}.json"))) in files), None)
        if record is not None:
            claimed[record].append(name)
    for record, names in claimed.items():
        path = PurePosixPath(names[0] if len(names) == 1 else _named(store, record, names))
        step = evaluated_step(path.parts[1]) if folder == EVALUATIONS else None
        pair = (files[str(path)], files[record])
        yield Artifact(kind=SUFFIXES[path.suffix], name=str(path), step=step, files=pair, store=store)


def _named(store: Store, record: str, names: Sequence[str]) -> str:
    """Return which of several files a record names: another was left by a kill."""
    file = as_object(store.read(record)).get("file")
    return next((name for name in names if PurePosixPath(name).name == file), names[0])


def _metrics(store: Store) -> Iterator[Artifact]:
    for name in (METRICS, EVALUATION_RECORDS, f"{SAMPLES}/{MANIFEST}"):
        entry = store.find(name)
        if entry is not None:
            yield Artifact(kind=Kind.METRICS, name=name, files=(entry,), store=store)


def _logs(store: Store) -> Iterator[Artifact]:
    """Yield the folder of each attempt: its hosts' logs and ends."""
    attempts: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in [*store.files(ATTEMPTS), *store.files(SHARDS)]:
        path = PurePosixPath(entry.name)
        if attempt_number(path.parent.name) is not None and not path.name.startswith("."):
            attempts[str(path.parent)].append(entry)
    for name, files in attempts.items():
        yield Artifact(kind=Kind.LOG, name=name, files=tuple(files), store=store)
