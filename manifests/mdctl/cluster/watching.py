"""Objects as they change: level by level, over lost connections and restarts of the API server.

    for jobsets, pods in watch(cluster, Selection("JobSet", ...), Selection("Pod", ...)):   all of them, at each change

Who watches is given what there is now, never what happened: what was missed while the connection was lost does not
matter. Each selection is followed by a thread of its own: list, then watch from there; when the watch ends, list again.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

from mdctl.cluster.client import Cluster, Object
from mdctl.cluster.kinds import KINDS
from mdctl.cluster.refusal import NoAnswer, explain
from mdctl.spec.errors import ClusterError

SECONDS_PER_WATCH = 300
"""After which the server ends a watch, and it is begun anew."""
SILENCE = 20.0
"""Seconds that a watch may say nothing beyond its end, before the connection counts as lost."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two tries to reach a server that does not answer."""

Objects = list[Object]
News = queue.SimpleQueue[tuple[int, Objects | ClusterError]]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which objects: a kind, a namespace (None: the connection's, unless `everywhere`), and selectors."""

    kind: str
    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    everywhere: bool = False


def watch(
    cluster: Cluster,
    *selections: Selection,
    on_lost: Callable[[str], None] | None = None,
    seconds: float | None = None,
) -> Iterator[tuple[Objects, ...]]:
    """Yield what each selection holds, first as it is and then whenever it may have changed; end after `seconds`.

    `on_lost` is told once each time the server stops answering; it is tried again until it does.

    Raises:
        ClusterError: the server refuses.
    """
    news: News = queue.SimpleQueue()
    done = threading.Event()
    for index, selection in enumerate(selections):
        follower = _Follower(cluster, selection, partial(_put, news, index), done, on_lost)
        threading.Thread(target=follower.run, name=f"mdctl-watch-{selection.kind}", daemon=True).start()
    held: dict[int, Objects] = {}
    end = None if seconds is None else monotonic() + seconds
    try:
        while True:
            try:
                index, told = news.get(timeout=None if end is None else max(0.0, end - monotonic()))
            except queue.Empty:
                return
            while True:  # what has come meanwhile is one change
                if isinstance(told, ClusterError):
                    raise told
                held[index] = told
                try:
                    index, told = news.get_nowait()
                except queue.Empty:
                    break
            if len(held) == len(selections):
                yield tuple(held[index] for index in range(len(selections)))
    finally:
        done.set()


def _put(news: News, index: int, told: Objects | ClusterError) -> None:
    news.put((index, told))


@dataclass(frozen=True)
class _Follower:
    """Follows one selection in a thread, and tells all it holds after each change."""

    cluster: Cluster
    selection: Selection
    tell: Callable[[Objects | ClusterError], None]
    done: threading.Event
    on_lost: Callable[[str], None] | None

    def run(self) -> None:
        """Follow until `done`, or until the server refuses."""
        pause = FIRST_PAUSE
        while not self.done.is_set():
            try:
                self._once()
                pause = FIRST_PAUSE
            except NoAnswer as error:
                if pause == FIRST_PAUSE and self.on_lost is not None:
                    self.on_lost(str(error))
                self.done.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except ClusterError as error:
                if error.status == 410:  # the version to watch from is no longer kept: list again
                    continue
                if error.status is not None and error.status >= 429:
                    self.done.wait(LONGEST_PAUSE)
                    continue
                self.tell(error)
                return

    def _once(self) -> None:
        """List, then watch until the server ends it."""
        chosen = self.selection
        pages = list(self.cluster.pages(chosen.kind, chosen.namespace, chosen.labels, chosen.fields, chosen.everywhere))
        held = {each["metadata"]["uid"]: each for page in pages for each in page["items"]}
        self.tell(list(held.values()))
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": pages[0]["metadata"]["resourceVersion"],
            "timeoutSeconds": str(SECONDS_PER_WATCH),
            "labelSelector": chosen.labels,
            "fieldSelector": chosen.fields,
        }
        namespace = None if chosen.everywhere else chosen.namespace or self.cluster.namespace
        folder = KINDS[chosen.kind].folder(namespace)
        with self.cluster.stream(folder, query, silence=SECONDS_PER_WATCH + SILENCE) as lines:
            for line in lines:
                if self.done.is_set():
                    return
                if self._take(held, line):
                    self.tell(list(held.values()))

    def _take(self, held: dict[str, Object], line: bytes) -> bool:
        """Take an event; return whether it changed anything."""
        with suppress(ValueError):  # a line cut short: the connection ends here
            event = json.loads(line)
            thing = event["object"]
            if event["type"] == "ERROR":
                raise explain(thing.get("code", 500), thing, self.selection.kind)
            if event["type"] == "BOOKMARK":
                return False
            if event["type"] == "DELETED":
                held.pop(thing["metadata"]["uid"], None)
            else:
                held[thing["metadata"]["uid"]] = thing
            return True
        return False
