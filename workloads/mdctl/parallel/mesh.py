"""The mesh of a layout: which device stands where.

Slices are outermost in every axis: over D slices of I devices, position p of an axis lies in slice p // I. Inside a
slice neighbours along an axis are neighbours on the chip network, as far as its shape allows.
"""

from collections.abc import Sequence
from itertools import chain

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from mdctl.spec.errors import SpecError
from mdctl.spec.layout import AXES, Layout


def make_mesh(layout: Layout, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arrange devices as the layout says; they may be those of an abstract topology. None takes all of the job.

    Raises:
        SpecError: there are more or fewer devices, or slices, than the layout has.
    """
    devices = jax.devices() if devices is None else devices
    if len(devices) != layout.num_devices:
        raise SpecError(
            f"the {layout.describe()} needs {layout.num_devices} devices, but this job has {len(devices)}; "
            f"change mesh or slice"
        )
    slices = _by_slice(devices, layout.num_slices)
    blocks = np.stack([_inside_slice(members, layout.ici_shape) for members in slices])
    return Mesh(_outermost(blocks, layout), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def _by_slice(devices: Sequence[jax.Device], num_slices: int) -> list[list[jax.Device]]:
    """Group devices by slice; where the platform knows of none, cut them in equal runs of neighbouring processes."""
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    indices = sorted({_slice_index(device) for device in ordered})
    if len(indices) == num_slices:
        return [[device for device in ordered if _slice_index(device) == index] for index in indices]
    if len(indices) > 1:
        raise SpecError(
            f"the job asks for {num_slices} slices, but its devices are in {len(indices)}; change numSlices"
        )
    size = len(ordered) // num_slices
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _slice_index(device: jax.Device) -> int:
    """Return the TPU slice of a device. What other platforms call by that name is the host."""
    return getattr(device, "slice_index", 0) if device.platform == "tpu" else 0


def _inside_slice(devices: list[jax.Device], shape: tuple[int, ...]) -> np.ndarray:
    if devices[0].platform == "tpu":
        return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    return np.array(devices, dtype=object).reshape(shape)


def _outermost(blocks: np.ndarray, layout: Layout) -> np.ndarray:
    """Put [slice, *ici] together so that along every axis the slice is the slower half."""
    num_axes = len(AXES)
    split = blocks.reshape(layout.dcn_shape + layout.ici_shape)
    pairs = chain.from_iterable((axis, axis + num_axes) for axis in range(num_axes))
    return split.transpose(*pairs).reshape(layout.shape)
