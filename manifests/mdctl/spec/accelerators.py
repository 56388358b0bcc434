"""The accelerators that mdctl knows, as data: what Google Cloud sells and how GKE labels its nodes.

A TPU generation is a family of topologies served by machine types; a GPU machine type is its own family. Slices are
made of these in `slices`. Memory is what a program can use, so v5p has 95 GiB of the 96 that its HBM stacks hold.

Sources, each row checked against all that apply:
    [tpu]   docs.cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e,tpu7x}: chips, cores, memory, largest slice
    [types] docs.cloud.google.com/tpu/docs/types-topologies: three-dimensional topologies, A <= B <= C
    [gke]   docs.cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus: machine types, node labels
    [gpu]   docs.cloud.google.com/compute/docs/accelerator-optimized-machines: GPU machine types
    [net]   docs.cloud.google.com/compute/docs/gpus/gpu-network-bandwidth: how GPUs of several machines talk
    [smi]   total memory that nvidia-smi reports (H100 81559, H200 143771, B200 183359 MiB)
"""

import math
from dataclasses import dataclass
from typing import Literal

Topology = tuple[int, ...]
GpuNetwork = Literal["tcpx", "tcpxo", "rdma"]

CUBE = 4
"""Above one cube of 4x4x4 chips a three-dimensional slice is made of whole cubes [types]."""

MAX_NODES = 15_000
"""Nodes of one GKE Standard cluster: docs.cloud.google.com/kubernetes-engine/quotas."""


@dataclass(frozen=True, kw_only=True)
class TpuMachine:
    """A machine type with TPU chips; a `multi_host` one is also a part of slices larger than itself."""

    name: str
    chips: int
    multi_host: bool = False


@dataclass(frozen=True, kw_only=True)
class TpuGeneration:
    """A TPU generation: its chip, the machines that hold it and the topologies that exist."""

    name: str
    aliases: tuple[str, ...] = ()
    accelerator: str  # value of the node label cloud.google.com/gke-tpu-accelerator
    machines: tuple[TpuMachine, ...]
    counts: Literal["cores", "chips"]  # what the number in a name such as v5p-64 counts
    cores_per_chip: int
    devices_per_chip: int  # JAX devices: one for both cores of a megacore chip, one for each core of tpu7x
    hbm_gib: float  # per chip
    small: tuple[Topology, ...]  # every topology below one cube, or every topology there is
    max_chips: int

    @property
    def topologies(self) -> tuple[Topology, ...]:
        """Return every topology of this generation, by number of chips, the most cubic of equals first."""
        cubes = _cubes(self.max_chips) if len(self.small[0]) == 3 else ()
        return tuple(sorted({*self.small, *cubes}, key=lambda dims: (math.prod(dims), sum(dims), dims)))


@dataclass(frozen=True, kw_only=True)
class GpuMachine:
    """A machine type with GPUs; machines of one type join over `network`, or stand alone where that is None."""

    name: str
    family: str
    gpu: str
    aliases: tuple[str, ...]
    accelerator: str  # value of the node label cloud.google.com/gke-accelerator
    gpus: int = 8
    hbm_gib: float  # per GPU
    network: GpuNetwork | None


_TWO_DIMENSIONAL: tuple[Topology, ...] = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_BELOW_ONE_CUBE: tuple[Topology, ...] = ((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4))

TPUS: tuple[TpuGeneration, ...] = (
    TpuGeneration(
        name="v4",
        accelerator="tpu-v4-podslice",
        machines=(TpuMachine(name="ct4p-hightpu-4t", chips=4, multi_host=True),),
        counts="cores",
        cores_per_chip=2,
        devices_per_chip=1,
        hbm_gib=32,
        small=_BELOW_ONE_CUBE,
        max_chips=4096,  # the whole pod
    ),
    TpuGeneration(
        name="v5e",
        aliases=("v5litepod", "v5lite"),
        accelerator="tpu-v5-lite-podslice",
        machines=(
            TpuMachine(name="ct5lp-hightpu-1t", chips=1),
            TpuMachine(name="ct5lp-hightpu-4t", chips=4, multi_host=True),
            TpuMachine(name="ct5lp-hightpu-8t", chips=8),
        ),
        counts="chips",
        cores_per_chip=1,
        devices_per_chip=1,
        hbm_gib=16,
        small=_TWO_DIMENSIONAL,
        max_chips=256,
    ),
    TpuGeneration(
        name="v5p",
        accelerator="tpu-v5p-slice",
        machines=(TpuMachine(name="ct5p-hightpu-4t", chips=4, multi_host=True),),
        counts="cores",
        cores_per_chip=2,
        devices_per_chip=1,
        hbm_gib=95,
        small=_BELOW_ONE_CUBE,
        max_chips=6144,  # 96 cubes, of a pod of 8960 chips
    ),
    TpuGeneration(
        name="v6e",
        accelerator="tpu-v6e-slice",
        machines=(
            TpuMachine(name="ct6e-standard-1t", chips=1),
            TpuMachine(name="ct6e-standard-4t", chips=4, multi_host=True),
            TpuMachine(name="ct6e-standard-8t", chips=8),
        ),
        counts="chips",
        cores_per_chip=1,
        devices_per_chip=1,
        hbm_gib=32,
        small=_TWO_DIMENSIONAL,
        max_chips=256,
    ),
    TpuGeneration(
        name="tpu7x",
        aliases=("v7x", "ironwood"),
        accelerator="tpu7x",
        machines=(
            TpuMachine(name="tpu7x-standard-1t", chips=1),
            TpuMachine(name="tpu7x-standard-4t", chips=4, multi_host=True),
        ),
        counts="cores",
        cores_per_chip=2,
        devices_per_chip=2,
        hbm_gib=192,
        small=((1, 1, 1), *_BELOW_ONE_CUBE),
        max_chips=9216,  # the whole pod
    ),
)


def _part(gpus: int) -> GpuMachine:
    """Return a machine with some of the GPUs of an a3-highgpu-8g, and none of its network."""
    return GpuMachine(
        name=f"a3-highgpu-{gpus}g",
        family=f"a3-high-{gpus}g",
        gpu="h100",
        aliases=("h100-80gb",),
        accelerator="nvidia-h100-80gb",
        gpus=gpus,
        hbm_gib=79.6,
        network=None,
    )


GPUS: tuple[GpuMachine, ...] = (
    *map(_part, (1, 2, 4)),
    GpuMachine(
        name="a3-highgpu-8g",
        family="a3-high",
        gpu="h100",
        aliases=("h100-80gb",),
        accelerator="nvidia-h100-80gb",
        hbm_gib=79.6,
        network="tcpx",
    ),
    GpuMachine(
        name="a3-megagpu-8g",
        family="a3-mega",
        gpu="h100-mega",
        aliases=("h100-mega-80gb",),
        accelerator="nvidia-h100-mega-80gb",
        hbm_gib=79.6,
        network="tcpxo",
    ),
    GpuMachine(
        name="a3-ultragpu-8g",
        family="a3-ultra",
        gpu="h200",
        aliases=("h200-141gb",),
        accelerator="nvidia-h200-141gb",
        hbm_gib=140.4,
        network="rdma",
    ),
    GpuMachine(
        name="a4-highgpu-8g",
        family="a4",
        gpu="b200",
        aliases=("b200-180gb",),
        accelerator="nvidia-b200",
        hbm_gib=179.0,
        network="rdma",
    ),
)


def _cubes(max_chips: int) -> tuple[Topology, ...]:
    """Return every AxBxC of whole cubes with A <= B <= C and at most `max_chips` chips."""
    sides = range(1, max_chips // CUBE**3 + 1)
    return tuple(
        (CUBE * a, CUBE * b, CUBE * c)
        for a in sides
        for b in sides[a - 1 :]
        if a * b * b * CUBE**3 <= max_chips
        for c in sides[b - 1 :]
        if a * b * c * CUBE**3 <= max_chips
    )
