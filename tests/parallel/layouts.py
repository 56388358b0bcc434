"""Layouts for tests: every way to cut eight devices."""

from collections.abc import Mapping
from itertools import product
from math import prod

from mdctl.spec.layout import AXES, AxisSizes, Layout

NUM_DEVICES = 8
ONE_SLICE = AxisSizes(data=1, fsdp=1, context=1, tensor=1)


def make_layout(shape: Mapping[str, int], dcn: AxisSizes = ONE_SLICE) -> Layout:
    """Return the layout with these axes inside a slice; those left out are 1."""
    sizes = {axis: shape.get(axis, 1) for axis in AXES}
    ici = AxisSizes(sizes["data"], sizes["fsdp"] * sizes["surplus"], sizes["context"], sizes["tensor"])
    batch = ici.data * dcn.data * sizes["fsdp"] * dcn.fsdp
    return Layout(ici=ici, dcn=dcn, surplus=sizes["surplus"], global_batch=batch)


def every_shape(num_devices: int = NUM_DEVICES) -> list[dict[str, int]]:
    """Return the sizes of all five axes, for each way to cut the devices."""
    factors = [n for n in range(1, num_devices + 1) if num_devices % n == 0]
    shapes = (dict(zip(AXES, sizes, strict=True)) for sizes in product(factors, repeat=len(AXES)))
    return [shape for shape in shapes if prod(shape.values()) == num_devices]


def name(shape: Mapping[str, int]) -> str:
    """Return a shape as a test's name, `data2-context4`."""
    return "-".join(f"{axis}{size}" for axis, size in shape.items() if size > 1)
