"""How far a job is: the newest step it has told of, or the videos it has written.

Steps are in `metrics.jsonl`, which at `gs://` is written before each checkpoint, and now and then in the log, which
goes there once a minute; whichever is newer counts. An attempt goes back to the checkpoint that it begins from: steps
that were recorded before it began, and lie beyond, are lost.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mdctl.results.attempts import TAIL_BYTES, Attempt, State
from mdctl.results.opening import open_store
from mdctl.results.store import Store, newest_objects, read_tail
from mdctl.spec.errors import ResultsError
from mdctl.spec.outputs import METRICS, SAMPLES

Spec = Mapping[str, Any]
"""The `spec` of a job.yaml."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is."""

    unit: Literal["step", "video"]
    done: int
    wanted: int | None  # None: not known here
    since_began: int  # done since the newest attempt began
    loss: float | None = None
    seconds_each: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest takes at this pace; None where that cannot be told."""
        if self.wanted is None or self.seconds_each is None:
            return None
        return max(0, self.wanted - self.done) * self.seconds_each


def read_progress(store: Store, spec: Spec, newest: Sequence[Attempt]) -> Progress:
    """Return how far a job is; `newest` is its newest attempt, or where it fans out that of each shard."""
    if spec.get("task") == "generate":
        return _videos(store, spec, min((attempt.began for attempt in newest), default=0.0))
    return _steps(store, spec, newest[0] if newest else None)


def _steps(store: Store, spec: Spec, attempt: Attempt | None) -> Progress:
    began_at = attempt.progress if attempt else 0
    logged = _logged(store, attempt)
    is_last = attempt is not None and attempt.state is State.DONE  # the last step is always logged
    recorded = None if is_last and logged else _recorded(store, attempt)
    newest = max(filter(None, (logged, recorded)), key=lambda record: int(record["step"]), default={})
    done = int(newest.get("step", began_at))
    return Progress(
        unit="step",
        done=done,
        wanted=_field(spec, "training", "steps"),
        since_began=max(0, done - began_at),
        loss=newest.get("loss"),
        seconds_each=newest.get("seconds"),
    )


def _recorded(store: Store, attempt: Attempt | None) -> Mapping[str, Any] | None:
    """Return the last recorded step that still counts."""
    entry = store.find(METRICS)
    if entry is None:
        return None
    behind = attempt is not None and entry.modified < attempt.began
    limit = attempt.progress if attempt is not None and behind else sys.maxsize
    records = newest_objects(read_tail(store, entry, TAIL_BYTES))
    return next((record for record in records if _is_step(record) and record["step"] <= limit), None)


def _logged(store: Store, attempt: Attempt | None) -> Mapping[str, Any] | None:
    """Return the last step that the newest attempt logged."""
    if attempt is None or not attempt.logs:
        return None
    records = newest_objects(read_tail(store, attempt.logs[min(attempt.logs)], TAIL_BYTES))
    return next((record for record in records if record.get("message") == "trained" and _is_step(record)), None)


def _is_step(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("step"), int)


def _videos(store: Store, spec: Spec, began: float) -> Progress:
    records = [entry for entry in store.files(SAMPLES) if entry.name.endswith(".json")]
    times = sorted(record.modified for record in records if record.modified >= began)
    return Progress(
        unit="video",
        done=len(records),
        wanted=_num_prompts(spec),
        since_began=len(times),
        seconds_each=(times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else None,
    )


def _num_prompts(spec: Spec) -> int | None:
    """Return how many videos a job is to make; None if its prompts are in a file that is not to be read here."""
    file = _field(spec, "sampling", "promptsFile")
    if file is None:
        return len(_field(spec, "sampling", "prompts") or ())
    folder, _, name = str(file).rpartition("/")
    try:
        content = open_store(folder or ("/" if str(file).startswith("/") else ".")).read(name)
    except ResultsError:
        return None
    return None if content is None else sum(bool(line.strip()) for line in content.splitlines())


def _field(spec: Spec, *path: str) -> Any:
    value: Any = spec
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
