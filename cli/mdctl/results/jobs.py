"""Every job that a directory keeps a record of: finished, deleted and expired ones too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mdctl.results.attempts import History, State, joint_failure, joint_state, read_history
from mdctl.results.opening import open_store
from mdctl.results.progress import Progress, Spec, read_progress
from mdctl.results.store import NUM_JOBS, Store, at_once
from mdctl.spec.outputs import JOB

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast; what is read here was written by the worker, and is not judged again."""


@dataclass(frozen=True, kw_only=True)
class RecordedJob:
    """What is known of a job from its output directory."""

    name: str
    directory: str
    task: str | None
    model: str | None
    slice: str | None
    num_slices: int
    attempts: History
    progress: Progress
    spec: Spec

    @property
    def heard(self) -> float | None:
        """Return when something was last written of it."""
        return max((attempt.heard for attempt in self.attempts.newest), default=None)

    @property
    def state(self) -> State | None:
        """Return what has become of the newest attempt; None if none has begun."""
        return joint_state(self.attempts.newest)

    @property
    def cause(self) -> str | None:
        """Return why the newest attempt ended, where it failed or was told to stop."""
        failure = joint_failure(self.attempts.newest)
        return failure.cause if failure else None


def recorded_jobs(root: str) -> list[RecordedJob]:
    """Return the jobs whose output directories are directly in a directory, the newest first."""
    store = open_store(root)
    found = at_once(store, lambda name: recorded_job(store.inside(name)), store.folders(), NUM_JOBS)
    jobs = [job for job in found if job is not None]
    return sorted(jobs, key=lambda job: job.attempts.began or 0.0, reverse=True)


def recorded_job(store: Store) -> RecordedJob | None:
    """Return the job whose output directory this is; None if none has written there."""
    content = store.read(JOB)
    if content is None:
        return None
    job = _mapping(content)
    spec = _part(job, "spec")
    num_slices = int(spec.get("numSlices", 1))
    attempts = read_history(store, fans_out=spec.get("task") == "generate" and num_slices > 1)
    return RecordedJob(
        name=str(_part(job, "metadata").get("name") or store.location.rpartition("/")[2]),
        directory=store.location,
        task=spec.get("task"),
        model=_part(spec, "model").get("name"),
        slice=spec.get("slice"),
        num_slices=num_slices,
        attempts=attempts,
        progress=read_progress(store, spec, attempts.newest),
        spec=spec,
    )


def read_spec(store: Store) -> Spec:
    """Return the spec of the job whose output directory this is; empty if there is none."""
    return _part(_mapping(store.read(JOB) or b""), "spec")


def _mapping(content: bytes) -> Mapping[str, Any]:
    """Return what a job.yaml holds; nothing if a kill cut it short."""
    try:
        value = yaml.load(content, _Loader)
    except yaml.YAMLError:
        return {}
    return value if isinstance(value, dict) else {}


def _part(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = mapping.get(name)
    return value if isinstance(value, dict) else {}
