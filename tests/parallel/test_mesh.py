from unittest.mock import Mock

import jax
import numpy as np
import pytest

from mdctl.parallel.mesh import make_mesh
from mdctl.spec.errors import SpecError
from mdctl.spec.layout import AXES, AxisSizes
from tests.parallel.layouts import every_shape, make_layout, name


@pytest.mark.parametrize("shape", every_shape(), ids=name)
def test_mesh_has_every_device_once_in_the_layouts_shape(shape: dict[str, int]) -> None:
    mesh = make_mesh(make_layout(shape))
    assert mesh.axis_names == AXES
    assert dict(mesh.shape) == shape
    assert set(mesh.devices.flat) == set(jax.devices())


def test_slices_are_outermost_along_their_axis() -> None:
    mesh = make_mesh(make_layout({"fsdp": 2, "context": 2}, AxisSizes(1, 2, 1, 1)), _devices(num_slices=2))
    slices = np.vectorize(lambda device: device.slice_index)(mesh.devices)
    assert mesh.shape["fsdp"] == 4
    assert (slices[:, :2] == 0).all()
    assert (slices[:, 2:] == 1).all()


def test_without_slices_of_their_own_devices_are_cut_in_equal_runs() -> None:
    mesh = make_mesh(make_layout({"tensor": 4}, AxisSizes(2, 1, 1, 1)))
    ids = np.vectorize(lambda device: device.id)(mesh.devices)
    assert ids.reshape(2, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_fastest_axis_lies_inside_a_host() -> None:
    mesh = make_mesh(make_layout({"data": 2, "tensor": 4}), [_device(n, process_index=n % 2) for n in range(8)])
    hosts = np.vectorize(lambda device: device.process_index)(mesh.devices)
    assert hosts.reshape(2, 4).tolist() == [[0] * 4, [1] * 4]


def test_too_few_devices_are_refused_with_both_numbers() -> None:
    with pytest.raises(SpecError, match=r"needs 8 devices.*has 4"):
        make_mesh(make_layout({"data": 8}), jax.devices()[:4])


def test_a_wrong_number_of_slices_is_refused_with_both_numbers() -> None:
    with pytest.raises(SpecError, match=r"asks for 4 slices.*are in 2"):
        make_mesh(make_layout({"data": 2}, AxisSizes(4, 1, 1, 1)), _devices(num_slices=2, platform="tpu"))


def test_what_gpus_call_a_slice_is_a_host() -> None:
    assert make_mesh(make_layout({"fsdp": 8}), _devices(num_slices=2)).shape["fsdp"] == 8


def _devices(num_slices: int, platform: str = "gpu") -> list[jax.Device]:
    return [_device(n, platform, process_index=0, slice_index=n * num_slices // 8) for n in range(8)]


def _device(number: int, platform: str = "gpu", **properties: int) -> jax.Device:
    device: jax.Device = Mock(spec=jax.Device, platform=platform, id=number, **properties)
    return device
