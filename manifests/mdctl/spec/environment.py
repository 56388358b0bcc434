"""Where a worker stands among its peers, as environment variables: written by the renderer and the local engine.

    rank = slice index x hosts per slice + host index,    process count = slices x hosts per slice          (1)

In a pod the two indices come from the downward API (the labels `jobset.sigs.k8s.io/job-index` and
`batch.kubernetes.io/job-completion-index`); the rest is the same for every host. Without `MDCTL_COORDINATOR` a worker
is alone. Alone does not mean the only one: where a job fans out, `MDCTL_SHARD` and `MDCTL_SHARDS` say which part of its
prompts a worker has, and

    number = shard x process count + rank                                                                   (2)

is different for all hosts of a job, whichever kind it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mdctl.spec.errors import SpecError
from mdctl.spec.shard import WHOLE, Shard

COORDINATOR = "MDCTL_COORDINATOR"
"""`host:port` of rank 0: in a JobSet `<job>-<group>-0-0.<job>:8482`."""
NUM_SLICES = "MDCTL_NUM_SLICES"
HOSTS_PER_SLICE = "MDCTL_HOSTS_PER_SLICE"
SLICE_INDEX = "MDCTL_SLICE_INDEX"
HOST_INDEX = "MDCTL_HOST_INDEX"

SHARD = "MDCTL_SHARD"
"""The shard's number, from 0."""
SHARDS = "MDCTL_SHARDS"

RUN = "MDCTL_RUN"
"""What all attempts of one submission share (the label `jobset.sigs.k8s.io/jobset-uid`); unset, each is its own."""
RESTART = "MDCTL_RESTART"
"""The label `jobset.sigs.k8s.io/restart-attempt`: hosts that differ in it belong to different attempts."""

LIFELINE = "MDCTL_LIFELINE"
"""The number of a descriptor inherited from the parent process: a socket, whose closing tells a child to leave."""

COORDINATOR_PORT = 8482
"""The port that JAX itself takes on GKE."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One host's place in a job."""

    coordinator: str | None = None  # None: the only host
    num_slices: int = 1
    hosts_per_slice: int = 1
    slice_index: int = 0
    host_index: int = 0
    shard: Shard = WHOLE

    @property
    def num_processes(self) -> int:
        """Return the number of hosts, by (1)."""
        return self.num_slices * self.hosts_per_slice

    @property
    def rank(self) -> int:
        """Return this host's number among all, by (1)."""
        return self.slice_index * self.hosts_per_slice + self.host_index

    @property
    def number(self) -> int:
        """Return this host's number among all of the job, its peers or not, by (2)."""
        return self.shard.index * self.num_processes + self.rank

    def environment(self) -> dict[str, str]:
        """Return the variables from which `read_place` reads this place."""
        shard = {} if self.shard == WHOLE else {SHARD: str(self.shard.index), SHARDS: str(self.shard.count)}
        if self.coordinator is None:
            return shard
        return {
            **shard,
            COORDINATOR: self.coordinator,
            NUM_SLICES: str(self.num_slices),
            HOSTS_PER_SLICE: str(self.hosts_per_slice),
            SLICE_INDEX: str(self.slice_index),
            HOST_INDEX: str(self.host_index),
        }


def read_place(environment: Mapping[str, str]) -> Place:
    """Return the place that environment variables describe.

    Raises:
        SpecError: a variable is missing, is no number, or is out of range.
    """
    shard = WHOLE
    if SHARD in environment or SHARDS in environment:
        shard = Shard(_number(environment, SHARD, SHARDS), _number(environment, SHARDS, SHARD))
    place = Place(shard=shard)
    if COORDINATOR in environment:
        place = Place(
            coordinator=environment[COORDINATOR],
            num_slices=_number(environment, NUM_SLICES, COORDINATOR),
            hosts_per_slice=_number(environment, HOSTS_PER_SLICE, COORDINATOR),
            slice_index=_number(environment, SLICE_INDEX, COORDINATOR),
            host_index=_number(environment, HOST_INDEX, COORDINATOR),
            shard=shard,
        )
    for name, index, count in (
        (SLICE_INDEX, place.slice_index, place.num_slices),
        (HOST_INDEX, place.host_index, place.hosts_per_slice),
        (SHARD, place.shard.index, place.shard.count),
    ):
        if not 0 <= index < count:
            raise SpecError(f"{name} is {index}, outside 0 to {count - 1}; the pod's environment contradicts itself")
    return place


def _number(environment: Mapping[str, str], name: str, beside: str) -> int:
    text = environment.get(name, "")
    if not text.isascii() or not text.isdigit():
        raise SpecError(f"{beside} is set but {name} is {text!r}, not a number; set both, or neither")
    return int(text)
