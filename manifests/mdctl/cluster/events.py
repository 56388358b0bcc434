"""What controllers told of a job: the events of its JobSet, Jobs, pods and Workload, each once.

The same event of many pods, or many times, is one: with how often, from when to when, and of which objects. Events are
kept for an hour by most clusters. Those of an earlier job of the same name are left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.conditions import moment
from mdctl.cluster.snapshot import Snapshot

GAP = timedelta(seconds=10)
"""Between two of the same event that count as one; after it, it happened again."""

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that was told, of one object or several of a kind."""

    kind: str
    names: tuple[str, ...]
    type: str
    """Normal or Warning."""
    reason: str
    message: str
    """That of the last one."""
    count: int
    first: datetime
    last: datetime

    @property
    def object(self) -> str:
        """Return whom it is about."""
        name = self.names[-1]
        return f"{self.kind} {name}" if len(self.names) == 1 else f"{len(self.names)} {self.kind}s, as {name}"


def observe_events(cluster: Cluster, snapshot: Snapshot, *, fields: str = "") -> list[Event]:
    """Return the events of a job, in order: one request for each 500 of the namespace that `fields` leave."""
    found = cluster.objects("Event", snapshot.namespace, fields=fields)
    return read_events(snapshot, found)


def read_events(snapshot: Snapshot, events: Iterable[Object]) -> list[Event]:
    """Return the events of a job among those of its namespace, in order, each once."""
    born = moment(snapshot.jobset["metadata"].get("creationTimestamp")) or _EPOCH
    known = [each for each in map(_read, events) if is_of(snapshot.name, each) and each.last >= born]
    found: dict[tuple[str, ...], list[Event]] = {}
    for each in sorted(known, key=lambda event: (event.last, event.first)):
        same = found.setdefault((each.kind, each.type, each.reason, _general(snapshot.name, each.message)), [])
        if same and each.first - same[-1].last < GAP:
            same[-1] = _joined(same[-1], each)
        else:
            same.append(each)
    return sorted((each for same in found.values() for each in same), key=lambda event: (event.last, event.first))


def is_of(job: str, event: Event) -> bool:
    """Whether an event is of a job's objects, by their names."""
    forms = {
        "JobSet": rf"{re.escape(job)}",
        "Job": rf"{re.escape(job)}-[a-z0-9]+-\d+",
        "Pod": rf"{re.escape(job)}-[a-z0-9]+-\d+-\d+-\w{{5}}",
        "Workload": rf"jobset-{re.escape(job)}-[0-9a-f]+",
    }
    return event.kind in forms and re.fullmatch(forms[event.kind], event.names[0]) is not None


def _read(event: Object) -> Event:
    about, series = event.get("involvedObject") or {}, event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    last = next((time for each in times if (time := moment(each))), None)
    last = last or moment(event["metadata"].get("creationTimestamp")) or _EPOCH
    return Event(
        kind=about.get("kind", ""),
        names=(about.get("name", ""),),
        type=event.get("type") or "Normal",
        reason=event.get("reason") or "",
        message=(event.get("message") or "").strip(),
        count=int(event.get("count") or series.get("count") or 1),
        first=moment(event.get("firstTimestamp")) or moment(event.get("eventTime")) or last,
        last=last,
    )


def _general(job: str, message: str) -> str:
    """Return a message without the names of the one pod and node that it is about."""
    message = re.sub(rf"\b{re.escape(job)}-[a-z0-9]+-\d+-\d+-\w{{0,5}}", "POD", message)
    return re.sub(r"(assigned \S+ to) \S+", r"\1 NODE", message)


def _joined(one: Event, other: Event) -> Event:
    names = one.names if other.names[0] in one.names else (*one.names, *other.names)
    first = min(one.first, other.first)
    return replace(other, names=names, count=one.count + other.count, first=first, last=max(one.last, other.last))
