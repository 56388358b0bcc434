"""What a compiled TPU program should take, judged from its HLO: a band, since much of it is assumption.

    LOW     products and kernels as below, memory-bound operations at the full bandwidth of HBM, no collective shows
    MID     all operations as the compiler has them, which costs memory-bound ones at about a third of that bandwidth
    HIGH    MID, and no collective is hidden behind anything

Kernels of Pallas are costed by their arithmetic and the part of the chip's peak that their schedules reach: the bundles
of their inner loops, or the passes of the matrix units if those are more, counted in libtpu's own dump on v5p for heads
as wide as its matrix units. A head narrower than a unit leaves the rest of it idle.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import hlo


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What one JAX device can do."""

    flops_per_second: float
    clock: float  # Hz
    memory_share: float  # of the time that the compiler gives a memory-bound operation
    wire: float  # bytes per second that a device sends in a collective: two links, one way
    unit: int  # side of a matrix unit


CHIPS: Mapping[str, Chip] = {
    "v5p": Chip(flops_per_second=458.8e12, clock=1.75e9, memory_share=1.0 / 2.77, wire=180e9, unit=128),
    "v6e": Chip(flops_per_second=917.5e12, clock=1.75e9, memory_share=0.66 / 1.64, wire=180e9, unit=256),
}


@dataclass(frozen=True)
class Kernel:
    """Arithmetic of a kernel: products over all pairs of queries and keys, and the part of the peak it reaches."""

    products: int
    share: float


KERNELS: Mapping[str, Kernel] = {
    "flash_forward": Kernel(products=2, share=0.92),
    "flash_backward": Kernel(products=5, share=0.97),
    "splash_mha_fwd": Kernel(products=2, share=0.88),
    "splash_mha_dq": Kernel(products=3, share=0.49),
    "splash_mha_dkv": Kernel(products=4, share=0.49),
}
"""By prefix of the name, on v5p. Both backward kernels of splash run on one of a chip's two cores."""


@dataclass
class Cost:
    """Seconds of one run on one device, and bytes it sends by kind of collective."""

    dots: float = 0.0
    memory: float = 0.0
    kernels: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    wire: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def band(self, chip: Chip) -> tuple[float, float, float]:
        """Return LOW, MID and HIGH."""
        least = self.dots + sum(self.kernels.values())
        middle = least + self.memory
        return least + self.memory * chip.memory_share, middle, middle + sum(self.wire.values()) / chip.wire


def judge(text: str, chip: Chip) -> Cost:
    """Return the cost of a compiled module, from its text."""
    module, cost = hlo.parse(text), Cost()
    for instruction, times in module.executed():
        kind = instruction.opcode.removesuffix("-start")
        seconds = times * instruction.cycles / chip.clock
        if kind in hlo.COLLECTIVES:
            cost.wire[kind] += times * hlo.wire_bytes(instruction)
        elif "tpu_custom_call" in instruction.text:
            cost.kernels[_kernel_name(instruction)] += times * _kernel_seconds(instruction, chip)
        elif kind == "convolution" or (kind == "fusion" and module.contains(instruction.named("calls"), "convolution")):
            cost.dots += seconds
        else:
            cost.memory += seconds
    return cost


def _kernel_name(call: hlo.Instruction) -> str:
    return next(name for name in KERNELS if name in call.name)


def _kernel_seconds(call: hlo.Instruction, chip: Chip) -> float:
    """Cost a kernel over queries [N, L, K] and keys [N, S, K], its first two operands of three dimensions in bf16."""
    layouts = re.search(r"operand_layout_constraints=\{(.*?)\}, frontend", call.text)
    assert layouts is not None, call.name
    queries, keys = [dims for kind, dims in hlo.arrays(layouts[1]) if kind == "bf16" and len(dims) == 3][:2]
    kernel = KERNELS[_kernel_name(call)]
    idle = -(-queries[-1] // chip.unit) * chip.unit / queries[-1]
    return 2 * kernel.products * prod(queries) * keys[1] * idle / kernel.share / chip.flops_per_second
