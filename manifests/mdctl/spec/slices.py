"""A slice by the name people write for it: `v5p-64`, `v6e-2x4`, `h100-16`, `a3-ultragpu-8g:4`, `cpu-2x4`.

    GENERATION-N         v5p-64         TPU; N counts TensorCores for v4, v5p and tpu7x, chips for v5e and v6e
    GENERATION-AxB[xC]   v5p-2x4x4      TPU; the topology itself, where one number has several
    GPU-N                h200-16        N GPUs on machines of eight; h100-1, -2 and -4 are smaller machines
    MACHINE[:HOSTS]      a3-mega:2      so many machines of that type, TPU ones too: ct6e-standard-4t:2
    cpu-N, cpu-PxM       cpu-2x4        this computer: P processes of M devices each; never on a cluster

Upper case, a leading `tpu-` and the spellings of other tools (v5litepod-16, h100-80gb-8, v7x-8) are understood.
The number follows Cloud TPU: v5p-64 has 64 cores, 32 chips. Tools that count v5p in chips mean twice as much, which is
why every command prints what a name resolved to. Two choices are made where a name leaves one open:

- the fewest hosts: v6e-8 is one ct6e-standard-8t; two hosts of four chips are ct6e-standard-4t:2 (GKE labels the nodes
  of both 2x4, so there the machine type is selected too);
- the most cubic topology: v5p-1024 is 8x8x8; another one is written out, v5p-4x4x32.

`h100` is a3-high, as in the node label nvidia-h100-80gb; `h100-mega` is a3-megagpu-8g.
"""

import difflib
import functools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mdctl.spec.accelerators import GPUS, MAX_NODES, TPUS, GpuMachine, Topology, TpuGeneration, TpuMachine
from mdctl.spec.errors import SliceError

Kind = Literal["tpu", "gpu", "cpu"]

MAX_LOCAL_DEVICES = 1024
"""More CPU devices than this on one computer are taken for a mistake."""

_ACCELERATOR_LABEL = {"tpu": "cloud.google.com/gke-tpu-accelerator", "gpu": "cloud.google.com/gke-accelerator"}
_RESOURCE: dict[Kind, str | None] = {"tpu": "google.com/tpu", "gpu": "nvidia.com/gpu", "cpu": None}


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Chips joined by their own interconnect: one failure domain, one or more hosts."""

    name: str
    kind: Kind
    generation: str  # v5p, a3-mega, cpu
    topology: Topology | None = None
    machine_type: str | None = None
    accelerator: str | None = None  # GKE's node label
    hosts: int
    chips_per_host: int
    cores_per_chip: int = 1
    devices_per_chip: int = 1
    hbm_gib_per_chip: float | None = None
    by_machine: bool = False  # whether nodes of another machine type carry the same labels

    @property
    def chips(self) -> int:
        """Return the number of accelerator chips in the slice."""
        return self.hosts * self.chips_per_host

    @property
    def cores(self) -> int:
        """Return the number of TensorCores in the slice; a GPU counts as one."""
        return self.chips * self.cores_per_chip

    @property
    def devices_per_host(self) -> int:
        """Return what `jax.local_device_count()` is on each host."""
        return self.chips_per_host * self.devices_per_chip

    @property
    def devices(self) -> int:
        """Return the number of JAX devices in the slice."""
        return self.hosts * self.devices_per_host

    @property
    def hbm_gib(self) -> float | None:
        """Return the memory of one JAX device in GiB; None where it is the host's own."""
        return None if self.hbm_gib_per_chip is None else self.hbm_gib_per_chip / self.devices_per_chip

    @property
    def resource(self) -> str | None:
        """Return the extended resource that a host's pod asks for."""
        return _RESOURCE[self.kind]

    @property
    def topology_label(self) -> str | None:
        """Return the topology as GKE writes it, such as 2x4x4."""
        return None if self.topology is None else "x".join(map(str, self.topology))

    @property
    def node_selector(self) -> dict[str, str]:
        """Return the labels of GKE nodes that are hosts of such a slice."""
        if self.kind == "cpu":
            return {}
        labels = {_ACCELERATOR_LABEL[self.kind]: self.accelerator}
        if self.kind == "tpu":
            labels["cloud.google.com/gke-tpu-topology"] = self.topology_label
        if self.by_machine:
            labels["node.kubernetes.io/instance-type"] = self.machine_type
        return {key: value for key, value in labels.items() if value is not None}


def resolve_slice(name: str) -> Slice:
    """Return the slice that a name means; a name of none raises SliceError with the nearest that exist."""
    text = name.strip().lower().removeprefix("tpu-")
    family, dash, size = text.rpartition("-")
    machine, _, hosts = text.partition(":")
    if dash and family == "cpu":
        return _local(name, size)
    if machine in _machines() and re.fullmatch(r"[0-9]{1,9}", hosts or "1"):
        return _by_machine(name, machine, int(hosts or "1"))
    if family in _generations() and re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9})*", size):
        return _by_generation(name, _generations()[family], tuple(map(int, size.split("x"))))
    if family in _gpus() and re.fullmatch(r"[0-9]{1,9}", size):
        return _by_gpus(name, _gpus()[family], int(size))
    raise _unknown(name, text)


def describe(slice_: Slice, count: int = 1) -> str:
    """Return one line saying what a name resolved to, for `count` slices of it."""
    memory = "" if slice_.hbm_gib is None else f" of {slice_.hbm_gib:g} GiB"
    devices = _plural(slice_.devices * count, "JAX device") + memory
    if slice_.kind == "cpu":
        return f"{slice_.name}: this computer, {_plural(slice_.hosts * count, 'process')}, {devices}"
    times = "" if count == 1 else f"{count} slices, each "
    what = {"tpu": f"TPU {slice_.generation} {slice_.topology_label}", "gpu": slice_.generation}[slice_.kind]
    chips = _plural(slice_.chips, "chip" if slice_.kind == "tpu" else "GPU")
    cores = f" ({slice_.cores} cores)" if slice_.cores_per_chip > 1 else ""
    hosts = f"{_plural(slice_.hosts, 'host')} of {slice_.chips_per_host} ({slice_.machine_type})"
    return f"{slice_.name}: {times}{what}, {chips}{cores} on {hosts}; {devices}"


@functools.cache
def all_slices() -> tuple[Slice, ...]:
    """Return every TPU slice that exists, and GPU slices of one and two machines (more exist: any number)."""
    tpus = tuple(slice_ for generation in TPUS for slice_ in _slices(generation))
    return tpus + tuple(_gpu_slice(machine, hosts) for machine in GPUS for hosts in (1, 2) if hosts <= _most(machine))


def named_slices() -> tuple[Slice, ...]:
    """Return the slices that a person would list: not those that must be written as a topology."""
    return tuple(slice_ for slice_ in all_slices() if not re.search(r"-\d+x\d+", slice_.name))


def _local(name: str, size: str) -> Slice:
    match = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", size)
    if match is None:
        raise SliceError(
            f"slice {_shown(name)}: write cpu-8 for 8 devices, or cpu-2x4 for 2 processes of 4 devices each"
        )
    hosts, devices = (1, int(match[1])) if match[2] is None else (int(match[1]), int(match[2]))
    if not 1 <= hosts * devices <= MAX_LOCAL_DEVICES:
        nearest = "cpu-1" if hosts * devices == 0 else f"cpu-{MAX_LOCAL_DEVICES}"
        raise SliceError(
            f"slice {_shown(name)}: from 1 to {MAX_LOCAL_DEVICES} devices fit one computer; nearest: {nearest}"
        )
    canonical = f"cpu-{devices}" if hosts == 1 else f"cpu-{hosts}x{devices}"
    return Slice(name=canonical, kind="cpu", generation="cpu", hosts=hosts, chips_per_host=devices)


def _by_machine(name: str, machine: str, hosts: int) -> Slice:
    found = _machines()[machine]
    if isinstance(found, GpuMachine):
        return _by_gpus(name, (found,), hosts * found.gpus)
    candidates = [slice_ for slice_ in all_slices() if slice_.machine_type == machine]
    exact = [slice_ for slice_ in candidates if slice_.hosts == hosts]
    if exact:
        return exact[0]
    raise SliceError(
        f"slice {_shown(name)}: no TPU slice has {_plural(hosts, 'host')} of type {machine}; "
        + _nearest(candidates, lambda slice_: slice_.hosts, hosts)
    )


def _by_generation(name: str, generation: TpuGeneration, size: tuple[int, ...]) -> Slice:
    slices = _slices(generation)
    if len(size) == 1:
        return _by_count(name, generation, size[0])
    exact = [slice_ for slice_ in slices if slice_.topology == size]
    if exact:
        return exact[0]
    turned = [slice_ for slice_ in slices if sorted(slice_.topology or ()) == sorted(size)]
    hint = (
        f"write it {turned[0].topology_label}, which is {turned[0].name}"
        if turned
        else _nearest(slices, lambda slice_: slice_.chips, math.prod(size))
    )
    raise SliceError(f"slice {_shown(name)}: {generation.name} has no topology {'x'.join(map(str, size))}; {hint}")


def _by_count(name: str, generation: TpuGeneration, count: int) -> Slice:
    def size(slice_: Slice) -> int:
        return slice_.cores if generation.counts == "cores" else slice_.chips

    slices = _slices(generation)
    exact = [slice_ for slice_ in slices if size(slice_) == count]
    if exact:
        return exact[0]
    unit = "TensorCores (two a chip)" if generation.counts == "cores" else "chips"
    raise SliceError(
        f"slice {_shown(name)}: the number counts {unit}, and no {generation.name} slice has {count}; "
        + _nearest(slices, size, count)
    )


def _by_gpus(name: str, machines: Sequence[GpuMachine], gpus: int) -> Slice:
    candidates = [slice_ for machine in machines for slice_ in _near(machine, gpus)]
    exact = [slice_ for slice_ in candidates if slice_.chips == gpus]
    if exact:
        return exact[0]
    largest = machines[-1]
    raise SliceError(
        f"slice {_shown(name)}: {largest.name} has {_plural(largest.gpus, 'GPU')}, and a job takes "
        f"{f'1 to {_most(largest)} whole ones' if largest.network else 'one'}; "
        + _nearest(candidates, lambda slice_: slice_.chips, gpus)
    )


def _near(machine: GpuMachine, gpus: int) -> list[Slice]:
    """Return the slices of a machine type with just so many GPUs, or a machine less and one more."""
    hosts = {min(max(hosts, 1), _most(machine)) for hosts in (gpus // machine.gpus, -(-gpus // machine.gpus))}
    return [_gpu_slice(machine, count) for count in sorted(hosts)]


def _most(machine: GpuMachine) -> int:
    """Return how many machines of a type a job takes at most."""
    return MAX_NODES if machine.network else 1


def _unknown(name: str, text: str) -> SliceError:
    known = [slice_.name for slice_ in named_slices()]
    family = _generations().get(text) or _gpus().get(text)
    if family is not None:
        prefix = family.name if isinstance(family, TpuGeneration) else family[0].gpu
        sizes = [known_name for known_name in known if re.fullmatch(rf"{prefix}-\d+", known_name)]
        return SliceError(
            f"slice {_shown(name)} says no size: write one of {', '.join(sizes[:4])}, ... (see `mdctl slices`)"
        )
    near = difflib.get_close_matches(text, known, n=3) or ["v5p-64", "v6e-8", "h100-8"]
    return SliceError(f"slice {_shown(name)} is none that mdctl knows; perhaps {', '.join(near)} (see `mdctl slices`)")


def _nearest(slices: Sequence[Slice], size: Callable[[Slice], int], wanted: int) -> str:
    """Say which slices exist just below and just above a size, the usual one of each."""
    usual = list({size(slice_): slice_ for slice_ in reversed(slices)}.values())
    below = max((s for s in usual if size(s) < wanted), key=size, default=None)
    above = min((s for s in usual if size(s) > wanted), key=size, default=None)
    near = [f"{s.name} ({_brief(s)})" for s in (below, above) if s is not None]
    return "nearest: " + " and ".join(dict.fromkeys(near))


def _brief(slice_: Slice) -> str:
    chips = _plural(slice_.chips, "chip" if slice_.kind == "tpu" else "GPU")
    return f"{slice_.topology_label}, {chips}" if slice_.topology else chips


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:37]}...")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


@functools.cache
def _slices(generation: TpuGeneration) -> tuple[Slice, ...]:
    """Return every slice of a generation by size, the usual one of equals first."""
    by_chips = sorted(generation.machines, key=lambda machine: -machine.chips)
    slices: list[Slice] = []
    for topology in generation.topologies:
        chips = math.prod(topology)
        first = not slices or slices[-1].chips != chips
        machines = [m for m in by_chips if m.chips == chips or (m.multi_host and chips % m.chips == 0)]
        names = [_name(generation, topology, first), *(f"{m.name}:{chips // m.chips}" for m in machines[1:])]
        several = len(machines) > 1
        slices += [_tpu_slice(*part, generation, topology, several) for part in zip(names, machines, strict=True)]
    return tuple(slices)


def _name(generation: TpuGeneration, topology: Topology, first: bool) -> str:
    if not first:
        return f"{generation.name}-{'x'.join(map(str, topology))}"
    chips = math.prod(topology)
    return f"{generation.name}-{chips * generation.cores_per_chip if generation.counts == 'cores' else chips}"


def _tpu_slice(
    name: str, machine: TpuMachine, generation: TpuGeneration, topology: Topology, by_machine: bool
) -> Slice:
    return Slice(
        name=name,
        kind="tpu",
        generation=generation.name,
        topology=topology,
        machine_type=machine.name,
        accelerator=generation.accelerator,
        hosts=math.prod(topology) // machine.chips,
        chips_per_host=machine.chips,
        cores_per_chip=generation.cores_per_chip,
        devices_per_chip=generation.devices_per_chip,
        hbm_gib_per_chip=generation.hbm_gib,
        by_machine=by_machine,
    )


def _gpu_slice(machine: GpuMachine, hosts: int) -> Slice:
    return Slice(
        name=f"{machine.gpu}-{hosts * machine.gpus}",
        kind="gpu",
        generation=machine.family,
        machine_type=machine.name,
        accelerator=machine.accelerator,
        hosts=hosts,
        chips_per_host=machine.gpus,
        hbm_gib_per_chip=machine.hbm_gib,
        by_machine=machine.network is None,
    )


@functools.cache
def _generations() -> dict[str, TpuGeneration]:
    return {name: generation for generation in TPUS for name in (generation.name, *generation.aliases)}


@functools.cache
def _gpus() -> dict[str, tuple[GpuMachine, ...]]:
    """Return the machine types that hold a GPU, by its names, the smallest first."""
    names = {name for machine in GPUS for name in (machine.gpu, *machine.aliases)}
    return {name: tuple(found for found in GPUS if name in (found.gpu, *found.aliases)) for name in names}


@functools.cache
def _machines() -> dict[str, GpuMachine | TpuMachine]:
    tpus = {machine.name: machine for generation in TPUS for machine in generation.machines}
    return {**tpus, **{name: machine for machine in GPUS for name in (machine.name, machine.family)}}
