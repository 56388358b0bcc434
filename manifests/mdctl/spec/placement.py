"""Where a job runs: capacity, mesh, resources, queue, restarts, secrets."""

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mdctl.spec.part import Part
from mdctl.spec.text import DnsLabel, DnsSubdomain, EnvironmentName, LabelKey, MountPath, Quantity, SecretKey

AxisSize = Annotated[int, Field(ge=-1, le=1_000_000)]


class Capacity(Part):
    """How the nodes are paid for."""

    type: Literal["on-demand", "spot", "reservation", "flex-start"] = "on-demand"
    """`spot` may be taken away with 15 s notice; `flex-start` waits for capacity."""
    reservation: DnsLabel | None = None
    """The reservation's name, with type `reservation`."""
    placement_policy: DnsLabel | None = None
    """The workload policy that the nodes of a slice must have been made with (multi-host tpu7x pools have one)."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if (self.type == "reservation") != (self.reservation is not None):
            raise ValueError(
                f"type is {self.type!r} and reservation is {self.reservation!r}: "
                "name a reservation with type 'reservation', and with no other"
            )
        return self


class Axes(Part):
    """Sizes of the four mesh axes; `-1`, at most once, takes what is left."""

    data: AxisSize = 1
    """Replicas of the parameters, each with its own part of the batch."""
    fsdp: AxisSize = 1
    """Shards of the parameters, each with its own part of the batch, or of the tokens where the batch is smaller."""
    context: AxisSize = 1
    """Shards of the sequence."""
    tensor: AxisSize = 1
    """Shards of the attention heads and the feed-forward width."""

    @model_validator(mode="after")
    def _fill_once(self) -> Self:
        sizes = {name: getattr(self, name) for name in ("data", "fsdp", "context", "tensor")}
        zero = [name for name, size in sizes.items() if size == 0]
        fill = [name for name, size in sizes.items() if size == -1]
        if zero:
            raise ValueError(f"{zero[0]} is 0; the smallest axis is 1, and -1 takes what is left")
        if len(fill) > 1:
            raise ValueError(
                f"{' and '.join(fill)} are both -1; "
                "one axis of a group can take what is left; set the other to a number"
            )
        return self


class IciAxes(Axes):
    """Axes inside a slice: what is not said otherwise shards parameters."""

    fsdp: AxisSize = -1
    """As above; takes what is left unless set."""


class DcnAxes(Axes):
    """Axes across slices: what is not said otherwise replicates."""

    data: AxisSize = -1
    """As above; takes what is left unless set."""


class MeshSpec(Part):
    """The device mesh, inside a slice (over ICI or NVLink) and across slices (over the data-centre network)."""

    ici: IciAxes = IciAxes()
    """Inside one slice; the product is its number of JAX devices."""
    dcn: DcnAxes = DcnAxes()
    """Across slices; the product is their number."""


class Resources(Part):
    """What a container asks for besides accelerators. Unset is not asked for: a queue may not cover it."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    shared_memory: Quantity | None = None
    """Size limit of /dev/shm; unset is half of the node's memory, as Kubernetes has it."""


class Queue(Part):
    """Kueue's queue and the priorities; what is not named is not asked for."""

    name: DnsLabel | None = None
    """A LocalQueue in the job's namespace."""
    priority: DnsSubdomain | None = None
    """A WorkloadPriorityClass of Kueue."""
    pod_priority: DnsSubdomain | None = None
    """A PriorityClass of Kubernetes."""
    topology: LabelKey | None = None
    """The level of the queue's topology that each slice must stay within; where the queue's flavour has none, unset."""

    @model_validator(mode="after")
    def _in_a_queue(self) -> Self:
        if self.name is None and (self.priority or self.topology):
            given = "priority" if self.priority else "topology"
            raise ValueError(f"{given} is {self.priority or self.topology!r} but name is unset: only a queue heeds it")
        return self


class Restarts(Part):
    """What happens when a host fails. Preemption, eviction and lost nodes restart without being counted."""

    max: Annotated[int, Field(ge=0, le=1000)] = 5
    """Restarts that count: crashes and kills."""
    grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    """From SIGTERM to SIGKILL: the time in which a checkpoint must be written. Spot nodes give 15 s at most."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = 86_400
    """When the finished JobSet is removed; null keeps it."""
    max_hours: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Hours after which the job is stopped for good, its state saved. In a queue they are those in which it held its
    slices, over all its attempts; in none, those of one attempt. Unset, it takes as long as it takes."""

    @property
    def max_seconds(self) -> int | None:
        """The same in whole seconds."""
        return None if self.max_hours is None else ceil(self.max_hours * 3600)


class Timeouts(Part):
    """Limits after which a host that makes no progress leaves with exit code 76."""

    step_minutes: Annotated[float, Field(gt=0)] = 10
    """Without a finished step, after an attempt's first."""
    compile_minutes: Annotated[float, Field(gt=0)] = 90
    """Until an attempt's first step is finished: for loading, for each clip that is encoded, and for compiling."""
    peers_minutes: Annotated[float, Field(gt=0)] = 20
    """Until all hosts have found each other."""


class SecretReference(Part):
    """A Secret of the job's namespace, as one environment variable or as files. Values never stand in a spec."""

    name: DnsSubdomain
    key: SecretKey | None = None
    """The key whose value becomes the variable `env`."""
    env: EnvironmentName | None = None
    mount_path: MountPath | None = None
    """A folder to mount all keys in, as files."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        as_env = self.env is not None and self.key is not None and self.mount_path is None
        as_files = self.mount_path is not None and self.env is None and self.key is None
        if not (as_env or as_files):
            raise ValueError(f"secret {self.name!r} needs either key and env, or mountPath")
        return self
