"""Where a worker stands among its peers, as environment variables: written by the renderer and the local engine.

    rank = slice index x hosts per slice + host index,    process count = slices x hosts per slice          (1)

In a pod the two indices come from the downward API (the labels `jobset.sigs.k8s.io/job-index` and
`batch.kubernetes.io/job-completion-index`); the rest is the same for every host. Without `MDCTL_COORDINATOR` a worker
is alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mdctl.spec.errors import SpecError

COORDINATOR = "MDCTL_COORDINATOR"
"""`host:port` of rank 0: in a JobSet `<job>-<group>-0-0.<job>:8482`."""
NUM_SLICES = "MDCTL_NUM_SLICES"
HOSTS_PER_SLICE = "MDCTL_HOSTS_PER_SLICE"
SLICE_INDEX = "MDCTL_SLICE_INDEX"
HOST_INDEX = "MDCTL_HOST_INDEX"

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

    @property
    def num_processes(self) -> int:
        """Return the number of hosts, by (1)."""
        return self.num_slices * self.hosts_per_slice

    @property
    def rank(self) -> int:
        """Return this host's number among all, by (1)."""
        return self.slice_index * self.hosts_per_slice + self.host_index

    def environment(self) -> dict[str, str]:
        """Return the variables from which `read_place` reads this place."""
        if self.coordinator is None:
            return {}
        return {
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
    if COORDINATOR not in environment:
        return Place()
    place = Place(
        coordinator=environment[COORDINATOR],
        num_slices=_number(environment, NUM_SLICES),
        hosts_per_slice=_number(environment, HOSTS_PER_SLICE),
        slice_index=_number(environment, SLICE_INDEX),
        host_index=_number(environment, HOST_INDEX),
    )
    for name, index, count in (
        (SLICE_INDEX, place.slice_index, place.num_slices),
        (HOST_INDEX, place.host_index, place.hosts_per_slice),
    ):
        if not 0 <= index < count:
            raise SpecError(f"{name} is {index}, outside 0 to {count - 1}; the pod's environment contradicts itself")
    return place


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isascii() or not text.isdigit():
        raise SpecError(f"{COORDINATOR} is set but {name} is {text!r}, not a number; set both, or neither")
    return int(text)
