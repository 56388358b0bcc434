"""Jobs in words: a line of a list, and all that is known of one."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mdctl.cli.output import Row
from mdctl.cli.units import duration
from mdctl.spec.names import SLICE_ANNOTATION, TASK_LABEL

if TYPE_CHECKING:
    from mdctl.cli.records import Outcome, Records
    from mdctl.cluster.conditions import Condition
    from mdctl.cluster.failure import HostFailure
    from mdctl.cluster.host_state import HostState
    from mdctl.cluster.snapshot import Snapshot
    from mdctl.cluster.state import JobState
    from mdctl.results.attempts import Attempt
    from mdctl.results.jobs import RecordedJob
    from mdctl.results.progress import Progress


def live_row(snapshot: "Snapshot", state: "JobState", record: "RecordedJob | None", now: datetime) -> Row:
    """Return the line of a job on the cluster; `record` is what it has written."""
    from mdctl.cluster.jobs import model_name

    metadata = snapshot.jobset["metadata"]
    return {
        "name": state.name,
        "namespace": state.namespace,
        "task": metadata.get("labels", {}).get(TASK_LABEL),
        "model": model_name(snapshot.jobset),
        "slice": _slices(metadata.get("annotations", {}).get(SLICE_ANNOTATION), num_slices(snapshot.jobset)),
        "phase": str(state.phase),
        "hosts": f"{state.ready}/{state.total}",
        "progress": brief_progress(record.progress) if record else None,
        "age": age(state.created, now),
        "queue": snapshot.queue,
        "cancelled": None,
    }


def kept_row(record: "RecordedJob", outcome: "Outcome", now: datetime) -> Row:
    """Return the line of a job that is not on the cluster any more."""
    return {
        "name": record.name,
        "namespace": None,
        "task": record.task,
        "model": record.model,
        "slice": _slices(record.slice, record.num_slices),
        "phase": outcome.phase,
        "hosts": None,
        "progress": brief_progress(record.progress),
        "age": age(from_epoch(began(record, outcome)), now),
        "queue": None,
        "cancelled": cancellation_facts(outcome),
    }


def live_facts(snapshot: "Snapshot", state: "JobState", now: datetime) -> dict[str, Any]:
    """Return what the cluster tells of a job, a fact each."""
    row = live_row(snapshot, state, None, now)
    counted = f"{state.restarts}, of which {state.counted} count (at most {state.max_restarts})"
    took = (state.ended or now) - state.started if state.started else None
    return {
        "name": state.name,
        "namespace": state.namespace,
        "task": row["task"],
        "model": row["model"],
        "slice": row["slice"],
        "phase": str(state.phase),
        "reason": state.reason,
        "queue": snapshot.queue,
        "ready": f"{state.ready} of {state.total} hosts",
        "restarts": counted if state.restarts else "0",
        "age": row["age"],
        "attempt took" if state.is_over else "attempt runs": None if took is None else duration(took.total_seconds()),
        "times": {
            name: time and time.isoformat()
            for name, time in (("created", state.created), ("started", state.started), ("ended", state.ended))
        },
    }


def kept_facts(record: "RecordedJob", outcome: "Outcome", now: datetime) -> dict[str, Any]:
    """Return what a job that is not on the cluster has left, a fact each."""
    heard = age(from_epoch(record.heard), now)
    return {
        "name": record.name,
        "task": record.task,
        "model": record.model,
        "slice": _slices(record.slice, record.num_slices),
        "phase": outcome.phase,
        "reason": _cancelled(outcome, now) or record.cause or "it is not on the cluster any more",
        "age": age(from_epoch(began(record, outcome)), now),
        "last heard of": heard and f"{heard} ago",
        "cancelled": cancellation_facts(outcome),
    }


def began(record: "RecordedJob", outcome: "Outcome") -> float | None:
    """Return when a job that has gone began; of one that was cancelled before that, when it was."""
    cancelled = outcome.cancellation.time if outcome.cancellation else None
    return record.attempts.began or cancelled


def cancellation_facts(outcome: "Outcome") -> dict[str, Any] | None:
    """Return who cancelled a job and when, for a program; None where nobody did."""
    found, time = outcome.cancellation, from_epoch(outcome.cancellation.time if outcome.cancellation else None)
    return None if found is None or time is None else {"by": found.by, "time": time.isoformat(), "run": found.run}


def _cancelled(outcome: "Outcome", now: datetime) -> str | None:
    found = outcome.cancellation
    if found is None:
        return None
    by = f" by {found.by}" if found.by else ""
    return f"cancelled{by}, {age(from_epoch(found.time), now)} ago"


def host_rows(hosts: "Iterable[HostState]", now: datetime) -> list[Row]:
    """Return a line for each host."""
    return [
        {
            "name": host.number,
            "slice": host.slice,
            "node": host.node,
            "pod": host.pod,
            "phase": "Stopping" if host.leaves else host.phase,
            "worker": host.container,
            "age": age(host.created, now),
        }
        for host in hosts
    ]


def attempt_rows(attempts: "Iterable[Attempt]") -> list[Row]:
    """Return a line for each attempt that was recorded, the newest last."""
    rows: list[Row] = []
    for each in attempts:
        end = max((end.time for end in each.ends if end.code is not None), default=None)
        failure = each.failure
        shard = {} if each.shard is None else {"shard": each.shard}
        rows.append(
            {
                "name": each.number,
                **shard,
                "state": str(each.state),
                "hosts": each.hosts,
                "began at": each.progress,
                "took": None if end is None else duration(end - each.began),
                "code": failure.code if failure else None,
                "cause": failure.cause if failure else None,
            }
        )
    return rows


def failure_facts(failure: "HostFailure") -> dict[str, Any]:
    """Return how a host failed, for a program."""
    return {
        "host": failure.number,
        "node": failure.node,
        "exitCode": failure.exit_code,
        "meaning": failure.meaning,
        "time": failure.time and failure.time.isoformat(),
        "said": str(failure),
        "lines": list(failure.lines),
    }


def kept_failure(records: "Records", last_lines: "Callable[[Records, int], tuple[str, ...]]") -> dict[str, Any] | None:
    """Return how a job that has gone failed, for a program; None where it did not."""
    from mdctl.results.attempts import joint_failure

    end = joint_failure(records.job.attempts.newest) if records.job else None
    if end is None:
        return None
    return {
        "host": end.host,
        "exitCode": end.code,
        "meaning": end.cause,
        "time": end.time,
        "said": f"host {end.host} left with {end.code}: {end.cause}",
        "lines": list(last_lines(records, end.host)),
    }


def condition_rows(found: "Iterable[Condition]", now: datetime) -> list[Row]:
    """Return a line for each condition of a job's JobSet and Workload."""
    return [
        {
            "name": each.type,
            "of": each.kind,
            "holds": "yes" if each.holds else "no",
            "reason": each.reason,
            "since": age(each.since, now),
            "message": each.message,
        }
        for each in found
    ]


def brief_progress(progress: "Progress") -> str | None:
    """Return how far a job is, in a word: `1200/10000`."""
    if progress.done == 0 and progress.since_began == 0:
        return None
    return f"{progress.done}/{'?' if progress.wanted is None else progress.wanted}"


def full_progress(progress: "Progress") -> str:
    """Return how far a job is, how fast it goes and how long that takes."""
    wanted = "" if progress.wanted is None else f" of {progress.wanted}"
    found = [f"{progress.unit} {progress.done}{wanted}"]
    if progress.loss is not None:
        found.append(f"loss {progress.loss:.4g}")
    if progress.seconds_each is not None:
        found.append(f"{progress.seconds_each:.3g} s each")
    if progress.seconds_left:
        found.append(f"{duration(progress.seconds_left)} left")
    return ", ".join(found)


def age(since: datetime | None, now: datetime) -> str | None:
    """Return how long ago something was."""
    return None if since is None else duration((now - since).total_seconds())


def from_epoch(seconds: float | None) -> datetime | None:
    """Return a time in seconds since 1970 as one with a date."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def num_slices(jobset: Mapping[str, Any]) -> int:
    """Return how many slices a job has: where it fans out, a pod each."""
    group = jobset["spec"]["replicatedJobs"][0]
    alone = "backoffLimitPerIndex" in group["template"]["spec"]
    return int(group["template"]["spec"]["parallelism"] if alone else group["replicas"])


def _slices(name: str | None, count: int) -> str | None:
    return name if count == 1 or name is None else f"{count} x {name}"
