"""What can befall a job that runs, and what it is designed to come to.

counted       the restart counts against restarts.max
uncounted     it does not
failed        there is none
taken back    Kueue misses a node of a job that it placed, as Kubernetes does: it suspends the job, and admits it again
              when the node is back. That restarts it once or, where nothing had failed before, not at all; uncounted
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cluster.plane.api import Object
from tests.cluster.plane.nodes import Pool
from tests.cluster.plane.plane import Plane
from tests.cluster.plane.pods import EXIT_CODE, JOBSET, STOP_CODE, place

FAILED_BY_RULE = "FailJobSetFailurePolicyAction"
PATIENCE = 900.0
"""Seconds for one step of a case: a node that is deleted is missed after one minute, and others have their turns."""

USED_UP = "ReachedMaxRestarts"


@dataclass(frozen=True)
class Outcome:
    """How a job ended, after how many restarts, of which so many counted."""

    restarts: int
    counted: int
    reason: str = "AllJobsCompleted"


COUNTED = Outcome(1, 1)
UNCOUNTED = Outcome(1, 0)
FAILED = Outcome(0, 0, FAILED_BY_RULE)
TAKEN_BACK = "NodeFailures"
"""Kueue's reason."""


@dataclass
class Victim:
    """A job that runs: its pods in order of slices and hosts, and the pool of each slice."""

    plane: Plane
    pods: list[Object]
    pools: list[Pool]

    @property
    def last(self):
        """Return the pod that it befalls: the last host of the last slice."""
        return self.pods[-1]

    @property
    def name(self):
        return self.last["metadata"]["labels"][JOBSET]

    @property
    def namespace(self):
        return self.last["metadata"]["namespace"]

    @property
    def node(self):
        return self.last["spec"]["nodeName"]

    @property
    def pool(self):
        """Return the pool that this node is of."""
        return next(pool for pool in self.pools if self.node in pool.node_names)

    def peers_leave(self, code):
        """Let the other hosts of the last slice end with an exit code."""
        for pod in self.pods[:-1]:
            if place(pod)[0] == place(self.last)[0]:
                self.plane.pods.finish(pod, code)

    def until(self, condition):
        """Wait until a condition holds of its pods."""
        its = f"{JOBSET}={self.name}"
        self.plane.api.until(condition, "Pod", self.namespace, PATIENCE, labelSelector=its)

    def has_not_restarted(self):
        """Say whether its attempt is still the first."""
        return not self.plane.api.get("JobSet", self.name, self.namespace)["status"].get("restarts")


@dataclass(frozen=True, kw_only=True)
class Harm:
    """Something that befalls a job, by its name."""

    befall: Callable[[Victim], None]
    comes_to: Outcome
    may_be_taken_back: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


def exits(code):
    """Return what lets one host end with an exit code."""
    return lambda victim: victim.plane.pods.finish(victim.last, code)


def is_evicted(victim):
    victim.plane.pods.evict(victim.last)


def loses_its_node(victim):
    """Delete a node; its peers find out, and leave."""
    victim.plane.nodes.remove(victim.node)
    victim.peers_leave(76)
    victim.plane.nodes.bring_back(victim.pool)


def has_a_node_that_falls_silent(victim):
    """Let a node be NotReady; nobody knows whether its host still runs, so nothing begins until the node is back."""
    victim.plane.nodes.lose(victim.node)
    victim.until(lambda pods: any("deletionTimestamp" in pod["metadata"] for pod in pods))
    victim.peers_leave(76)
    assert victim.has_not_restarted()
    victim.plane.nodes.bring_back(victim.pool)


def loses_its_pool(victim):
    """Delete every node of a slice; no host of it is there to leave."""
    for name in victim.pool.node_names:
        victim.plane.nodes.remove(name)
    victim.until(lambda pods: not any(pod["spec"].get("nodeName") in victim.pool.node_names for pod in pods))
    victim.plane.nodes.bring_back(victim.pool)


def loses_a_node_and_its_peers_crash(victim):
    """Delete a node; its peers crash of that before anybody sees what happened."""
    victim.plane.nodes.remove(victim.node)
    victim.peers_leave(134)
    victim.plane.nodes.bring_back(victim.pool)


def nothing(victim):
    """Do nothing: its pods end by themselves."""


HARMS = {
    "exit-1": Harm(befall=exits(1), comes_to=COUNTED),
    "exit-2": Harm(befall=exits(2), comes_to=FAILED),
    "exit-3": Harm(befall=exits(3), comes_to=FAILED),
    "exit-75": Harm(befall=exits(75), comes_to=UNCOUNTED),
    "exit-76": Harm(befall=exits(76), comes_to=UNCOUNTED),
    "exit-134": Harm(befall=exits(134), comes_to=COUNTED),
    "exit-137": Harm(befall=exits(137), comes_to=COUNTED),
    "exit-143": Harm(befall=exits(143), comes_to=COUNTED),
    "evicted": Harm(befall=is_evicted, comes_to=UNCOUNTED, labels={STOP_CODE: "137"}),  # too slow to save
    "node-deleted": Harm(befall=loses_its_node, comes_to=UNCOUNTED, may_be_taken_back=True),
    "node-silent": Harm(befall=has_a_node_that_falls_silent, comes_to=UNCOUNTED, may_be_taken_back=True),
    "pool-gone": Harm(befall=loses_its_pool, comes_to=UNCOUNTED, may_be_taken_back=True),
    "peers-crash": Harm(befall=loses_a_node_and_its_peers_crash, comes_to=COUNTED, may_be_taken_back=True),
}
"""One at a time, to a job that may restart."""

LOOPS = {
    "loop-1": Harm(
        befall=nothing, labels={EXIT_CODE: "1"}, overrides=("restarts.max=2",), comes_to=Outcome(2, 2, USED_UP)
    ),
    "loop-76": Harm(
        befall=nothing,
        labels={EXIT_CODE: "76"},
        overrides=("restarts.max=1", "output_dir=/tmp/trial"),  # which the next attempt does not find
        comes_to=Outcome(1, 1, USED_UP),
    ),
    "loop-none": Harm(
        befall=nothing, labels={EXIT_CODE: "143"}, overrides=("restarts.max=0",), comes_to=Outcome(0, 0, USED_UP)
    ),
}
"""Jobs that crash whenever they run."""
