"""The logs of a job while it runs: over restarts of the job, lost connections and restarts of the API server.

    watch       which pods there are, which have ended, and whether the job has: one thread
    _Reader     one pod's log from where it was read to, again whenever the connection ends, until the pod has ended
                and all is read: a thread for each

All tell one queue, which is yielded from. A pod that is deleted while the API server is away may have written more than
anybody read; its host keeps that under the job's output directory.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.hosts import has_ended, num_hosts
from mdctl.cluster.jobs import belonging
from mdctl.cluster.logs import Excerpt, Line, PodLog, chosen, merge
from mdctl.cluster.refusal import NoAnswer
from mdctl.cluster.watching import FIRST_PAUSE, LONGEST_PAUSE, Selection, watch
from mdctl.spec.errors import ClusterError

MAX_HOSTS = 256
"""Logs that are followed at a time: each is a connection and a thread."""
PATIENCE = 15.0
"""Seconds in which everything that ended hosts wrote is read, once the job has ended."""
ATTEMPTS = 5
"""How often the log of a pod that has ended is asked for where its node does not answer."""

Level = tuple[list[Object], list[Object]]
"""The JobSet, where it is there, and its pods."""


def follow_logs(cluster: Cluster, jobset: Object, excerpt: Excerpt, tell: Callable[[str], None]) -> Iterator[Line]:
    """Yield what a job's hosts wrote, by time, and then what they write, until the job has ended or is deleted.

    Of more than MAX_HOSTS the first ones are followed. `tell` is told of that, when no host has started yet, when the
    API server stops answering, which is tried again until it does, and what could not be read in the end.

    Raises:
        ClusterError: the server refuses.
    """
    follower = _Follower(cluster, jobset, _bounded(jobset, excerpt, tell), tell)
    try:
        yield from follower.lines()
    finally:
        follower.done.set()


def _bounded(jobset: Object, excerpt: Excerpt, tell: Callable[[str], None]) -> Excerpt:
    """Return an excerpt of no more hosts than can be followed."""
    hosts = sorted(excerpt.hosts or range(num_hosts(jobset)))
    if len(hosts) <= MAX_HOSTS:
        return excerpt
    tell(
        f"of {len(hosts)} hosts the first {MAX_HOSTS} are followed, {hosts[0]} to {hosts[MAX_HOSTS - 1]}; name others "
        "with --host"
    )
    return replace(excerpt, hosts=frozenset(hosts[:MAX_HOSTS]))


@dataclass
class _Follower:
    cluster: Cluster
    jobset: Object
    excerpt: Excerpt
    tell: Callable[[str], None]
    news: "queue.SimpleQueue[Line | Level | ClusterError | _Reader]" = field(default_factory=queue.SimpleQueue)
    readers: "dict[str, _Reader]" = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    lost: float = -inf  # when the server last stopped answering
    waiting: bool = False  # whether it was said that no host has started

    def lines(self) -> Iterator[Line]:
        """Yield lines until the job has ended, and the last of them is read."""
        threading.Thread(target=self._watch, name="mdctl-logs-watch", daemon=True).start()
        deadline = None
        while deadline is None or (self._unread() and monotonic() < deadline):
            try:
                told = self.news.get(timeout=None if deadline is None else max(0.0, deadline - monotonic()))
            except queue.Empty:
                return
            if isinstance(told, Line):
                yield told
            elif isinstance(told, ClusterError):
                raise told
            elif isinstance(told, _Reader):
                told.finished = True
                if told.log.failure is not None:
                    self.tell(f"host {told.log.host}: {told.log.failure}")
            else:
                jobsets, pods = told
                yield from self._take(pods)
                if deadline is None and self._is_over(jobsets):
                    with suppress(NoAnswer):  # the pods may be told of later than what came of them
                        yield from self._take(self.cluster.objects("Pod", self.namespace, labels=self._labels))
                    deadline = monotonic() + PATIENCE

    @property
    def namespace(self) -> str:
        """Return the job's namespace."""
        return str(self.jobset["metadata"]["namespace"])

    @property
    def _labels(self) -> str:
        return belonging(self.jobset["metadata"]["name"])

    def _watch(self) -> None:
        name = f"metadata.name={self.jobset['metadata']['name']}"
        jobset = Selection(kind="JobSet", namespace=self.namespace, fields=name)
        pods = Selection(kind="Pod", namespace=self.namespace, labels=self._labels)
        try:
            for jobsets, found in watch(self.cluster, jobset, pods, on_lost=self._lost):
                self.news.put((jobsets, found))
                if self.done.is_set():
                    return
        except ClusterError as error:
            self.news.put(error)

    def _lost(self, message: str) -> None:
        """Tell once of what both watches say."""
        if monotonic() - self.lost > 2 * LONGEST_PAUSE:
            self.tell(f"{message.partition('; ')[0]}; trying until it does")
        self.lost = monotonic()

    def _take(self, pods: list[Object]) -> Iterator[Line]:
        """Follow pods that are new, after what they wrote until now; let readers know of those that have ended."""
        ours = {pod["metadata"]["uid"]: pod for pod in chosen(self.jobset, pods, self.excerpt)}
        excerpt = Excerpt() if self.readers else self.excerpt  # of what starts from now on all is wanted
        fresh = [
            _Reader(uid, PodLog(self.cluster, self.jobset, pod, excerpt), self.news, self.done)
            for uid, pod in ours.items()
            if uid not in self.readers
        ]
        if not self.readers:
            yield from merge([reader.log for reader in fresh])
            self._say_that_none_has_started(fresh)
        self.readers |= {reader.uid: reader for reader in fresh}
        for uid, reader in self.readers.items():
            if uid not in ours or has_ended(ours[uid]):
                reader.ended.set()
        for reader in fresh:
            threading.Thread(target=reader.run, name=f"mdctl-log-{reader.log.host}", daemon=True).start()

    def _say_that_none_has_started(self, fresh: "list[_Reader]") -> None:
        """Say so once."""
        if not fresh and not self.waiting:
            name = self.jobset["metadata"]["name"]
            self.tell(f"{name}: no host has started yet; `mdctl status {name}` says why")
            self.waiting = True

    def _is_over(self, jobsets: list[Object]) -> bool:
        """Return whether the job has ended, is gone, or another has its name."""
        same = [each for each in jobsets if each["metadata"]["uid"] == self.jobset["metadata"]["uid"]]
        return not same or bool(same[0].get("status", {}).get("terminalState"))

    def _unread(self) -> bool:
        """Return whether a host has ended of which there may be more to read."""
        return any(reader.ended.is_set() and not reader.finished for reader in self.readers.values())


@dataclass
class _Reader:
    uid: str
    log: PodLog
    news: "queue.SimpleQueue[Line | Level | ClusterError | _Reader]"
    done: threading.Event
    ended: threading.Event = field(default_factory=threading.Event)
    finished: bool = False

    def run(self) -> None:
        """Tell every line until the pod has ended and all it wrote is told."""
        pause, failures = FIRST_PAUSE, 0
        while not self.done.is_set() and failures < ATTEMPTS:
            last = self.ended.is_set()  # looked at before reading, so that nothing comes after
            self.log.failure = None
            try:
                for line in self.log.read(follow=not last):
                    self.news.put(line)
                    pause, failures = FIRST_PAUSE, 0
                if last:
                    break
            except NoAnswer:
                pass
            except ClusterError as error:
                if error.status in (401, 403):
                    self.news.put(error)
                if error.status in (401, 403, 404):  # 404: nothing is left of the pod
                    break
                failures += last
                self.log.failure = str(error).splitlines()[0]
            (self.done if last else self.ended).wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self.news.put(self)
