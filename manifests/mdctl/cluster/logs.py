"""What the workers of a job write, as the cluster has it: of the pods that are there.

    read_logs(...)      everything until now, all hosts by time
    PodLog              one pod's; each reading goes on where the last one stopped, at the very line

The API server resumes a log at a second, not at a line, so the lines of that second come twice and are passed over:
those before the last one that was read, and as many of its own instant as were read. `mdctl.cluster.following` stays
with a job while it runs.
"""

import functools
import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.hosts import has_started, host_number, restart_of
from mdctl.cluster.jobs import JOBSET_UID_LABEL, belonging
from mdctl.cluster.kinds import KINDS
from mdctl.spec.errors import ClusterError
from mdctl.spec.names import CONTAINER

READERS = 16
"""Logs that are read at a time."""
SILENCE = 60.0
"""Seconds that a log which is followed may say nothing, before it is asked for anew: the connection may be lost."""

BILLION = 10**9

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class Line(NamedTuple):
    """A line that one host wrote."""

    time: int  # nanoseconds since 1970, by the node's clock
    host: int
    restart: int | None  # how often the job had been restarted
    pod: str | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """Which part of a job's logs: some hosts (none named: all), the last seconds, the last lines of each host."""

    hosts: frozenset[int] = frozenset()
    since: float | None = None
    tail: int | None = None


def read_logs(
    cluster: Cluster, jobset: Object, excerpt: Excerpt, tell: Callable[[str], None] | None = None
) -> Iterator[Line]:
    """Yield what a job's pods wrote until now, by time; `tell` is told what cannot be read.

    Raises:
        ClusterError: the server refuses, or does not answer.
    """
    pods = cluster.objects("Pod", jobset["metadata"]["namespace"], labels=belonging(jobset["metadata"]["name"]))
    logs = [PodLog(cluster, jobset, pod, excerpt) for pod in chosen(jobset, pods, excerpt)]
    yield from merge(logs)
    for log in logs:
        if tell is not None and log.failure is not None:
            tell(f"host {log.host}: {log.failure}")


def chosen(jobset: Object, pods: Iterable[Object], excerpt: Excerpt) -> list[Object]:
    """Return the pods of this very job that have a log, of the hosts that are asked for."""
    uid = jobset["metadata"]["uid"]
    return [
        pod
        for pod in pods
        if pod["metadata"]["labels"].get(JOBSET_UID_LABEL) == uid
        and has_started(pod)
        and (not excerpt.hosts or host_number(jobset, pod) in excerpt.hosts)
    ]


def merge(logs: Iterable["PodLog"]) -> Iterator[Line]:
    """Yield by time what each log holds until now; one that cannot be read has a `failure` then."""
    with ThreadPoolExecutor(READERS) as readers:
        yield from heapq.merge(*readers.map(PodLog.lines, logs), key=attrgetter("time"))


class PodLog:
    """The log of one pod's worker, and how far it was read."""

    def __init__(self, cluster: Cluster, jobset: Object, pod: Object, excerpt: Excerpt = Excerpt()) -> None:
        self.host = host_number(jobset, pod)
        self._cluster = cluster
        self._pod = pod["metadata"]["name"]
        self._restart = restart_of(pod)
        self._path = f"{KINDS['Pod'].folder(pod['metadata']['namespace'])}/{quote(self._pod)}/log"
        self._begin = None if excerpt.since is None else datetime.now(UTC) - timedelta(seconds=excerpt.since)
        self._tail = excerpt.tail  # None: from the beginning
        self._last = 0  # the time of the last line that was read
        self._same = 0  # lines of that time that were read
        self.failure: str | None = None  # why `lines` could not read all

    def lines(self) -> list[Line]:
        """Return what there is to read, be it a part; `failure` says why."""
        found: list[Line] = []
        try:
            found.extend(self.read())
        except ClusterError as error:
            if error.status in (401, 403):
                raise
            self.failure = str(error).splitlines()[0]
        return found

    def read(self, *, follow: bool = False) -> Iterator[Line]:
        """Yield the lines after those that were read before: those there are, or with `follow` until the pod ends.

        Raises:
            ClusterError: the log is not to be had; NoAnswer where that may change.
        """
        before, known = self._last, self._same
        with self._cluster.stream(self._path, self._query(follow), silence=SILENCE) as lines:
            for raw in lines:
                stamp, _, text = raw.decode(errors="replace").rstrip("\r").partition(" ")
                time = instant(stamp)
                if time is None:
                    continue  # not the worker's, but the kubelet's: such as that it has no log any more
                if time < before or (time == before and known > 0):
                    known -= time == before
                    continue
                before = 0  # from here on all is new
                self._last, self._same = time, self._same + 1 if time == self._last else 1
                yield Line(time, self.host, self._restart, self._pod, text)
        self._tail = None

    def _query(self, follow: bool) -> dict[str, str]:
        query = {"container": CONTAINER, "timestamps": "true"} | ({"follow": "true"} if follow else {})
        if self._last:
            return query | {"sinceTime": _second(datetime.fromtimestamp(self._last // BILLION, UTC))}
        if self._begin is not None:
            query["sinceTime"] = _second(self._begin)
        if self._tail is not None:
            query["tailLines"] = str(self._tail)
        return query


def instant(stamp: str) -> int | None:
    """Return the nanoseconds since 1970 of a time in RFC 3339; None where it is none."""
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None
    second, fraction, zone = match.groups(default="")
    return _whole_second(second + zone) * BILLION + int(fraction.ljust(9, "0"))


def stamp(time: int) -> str:
    """Return a time in nanoseconds in RFC 3339, to the microsecond."""
    moment = datetime.fromtimestamp(time // BILLION, UTC).replace(microsecond=time % BILLION // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@functools.lru_cache(1024)
def _whole_second(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
