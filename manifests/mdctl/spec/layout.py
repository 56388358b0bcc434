"""The mesh a job resolves to: axis sizes with every -1 filled, and how the batch lies over them.

With global batch B, data axis D and fsdp axis F (each the product of its part inside a slice and across slices)

    fsdp    = gcd(B / D, F)      the part of F that shards the batch                 (1)
    surplus = F / fsdp           what is left of F: it shards the tokens             (2)

so every group of `surplus x context` devices works on the same videos, each on its own tokens. Parameters are sharded
over all of F, whatever the batch.
"""

from dataclasses import dataclass
from math import gcd, isclose, prod
from typing import NamedTuple

from mdctl.spec.errors import SpecError
from mdctl.spec.placement import Axes, MeshSpec
from mdctl.spec.training import Batch

AXES = ("data", "fsdp", "surplus", "context", "tensor")
"""Names of the mesh axes, slowest first."""


class AxisSizes(NamedTuple):
    """Sizes of the user's four axes, filled."""

    data: int
    fsdp: int
    context: int
    tensor: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A filled mesh and the batch over it."""

    ici: AxisSizes
    dcn: AxisSizes
    surplus: int
    global_batch: int

    @property
    def total(self) -> AxisSizes:
        """Sizes over all slices."""
        return AxisSizes(*(inside * across for inside, across in zip(self.ici, self.dcn, strict=True)))

    @property
    def ici_shape(self) -> tuple[int, ...]:
        """Sizes of `AXES` inside a slice."""
        data, fsdp, context, tensor = self.ici
        return data, fsdp // self.surplus, self.surplus, context, tensor

    @property
    def dcn_shape(self) -> tuple[int, ...]:
        """Sizes of `AXES` across slices."""
        data, fsdp, context, tensor = self.dcn
        return data, fsdp, 1, context, tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of `AXES` over all slices."""
        return tuple(inside * across for inside, across in zip(self.ici_shape, self.dcn_shape, strict=True))

    @property
    def num_slices(self) -> int:
        """Slices the mesh spans."""
        return prod(self.dcn)

    @property
    def num_devices(self) -> int:
        """JAX devices in the mesh."""
        return prod(self.total)

    @property
    def batch_shards(self) -> int:
        """Parts the batch is cut into."""
        return self.total.data * self.total.fsdp // self.surplus

    @property
    def token_shards(self) -> int:
        """Parts each sequence is cut into."""
        return self.surplus * self.total.context

    def describe(self) -> str:
        """Return the layout in one line, as the CLI and the worker print it."""
        axes = " x ".join(f"{name} {size}" for name, size in zip(AXES, self.shape, strict=True) if size > 1)
        tokens = f", tokens in {self.token_shards}" if self.token_shards > 1 else ""
        return (
            f"mesh {axes or 'of one device'} ({self.num_devices} devices): "
            f"batch {self.global_batch} in {self.batch_shards}{tokens}"
        )


def resolve_layout(mesh: MeshSpec, batch: Batch, devices_per_slice: int, num_slices: int) -> Layout:
    """Fill the mesh for `num_slices` slices of `devices_per_slice` JAX devices, and lay the batch over it.

    Raises:
        SpecError: an axis product does not fit, or the batch cannot be laid over the mesh.
    """
    ici = _fill(mesh.ici, devices_per_slice, "mesh.ici", "JAX devices in the slice")
    dcn = _fill(mesh.dcn, num_slices, "mesh.dcn", "slices")
    data, fsdp = ici.data * dcn.data, ici.fsdp * dcn.fsdp
    global_batch = _global_batch(batch, devices_per_slice * num_slices, default=data * fsdp)
    if global_batch % data:
        near = max(data, global_batch // data * data)
        raise SpecError(
            f"a global batch of {global_batch} cannot be split over the data axis of {data}; "
            f"use a batch of {near} or {global_batch // data * data + data}, or move devices from data to fsdp"
        )
    surplus = fsdp // gcd(global_batch // data, fsdp)
    if ici.fsdp % surplus:
        raise SpecError(
            f"a global batch of {global_batch} over data {data} x fsdp {fsdp} leaves {surplus} fsdp shards for the "
            f"tokens, more than the {ici.fsdp} inside a slice, and tokens are not split across slices; "
            f"use a batch of {data * dcn.fsdp}, or dcn.data instead of dcn.fsdp"
        )
    return Layout(ici=ici, dcn=dcn, surplus=surplus, global_batch=global_batch)


def _fill(axes: Axes, devices: int, where: str, what: str) -> AxisSizes:
    sizes = {name: getattr(axes, name) for name in AxisSizes._fields}
    known = prod(size for size in sizes.values() if size > 0)
    fill = [name for name, size in sizes.items() if size == -1]
    written = " x ".join(f"{name} {size}" for name, size in sizes.items() if size not in (1, -1)) or "1"
    product = f"{written} = {known}" if " x " in written else written
    if fill and devices % known == 0:
        return AxisSizes(**{**sizes, fill[0]: devices // known})
    if not fill and known == devices:
        return AxisSizes(**sizes)
    if fill:
        raise SpecError(
            f"{where}: {product} does not divide {devices} {what}, so {fill[0]} -1 cannot be filled; "
            f"choose axes whose product divides {devices}"
        )
    raise SpecError(
        f"{where}: {product}, but there are {devices} {what}; "
        f"set one axis to -1 to take what is left, or make the product {devices}"
    )


def _global_batch(batch: Batch, devices: int, default: int) -> int:
    if batch.global_size is not None:
        return batch.global_size
    if batch.per_device is None:
        return default
    size = batch.per_device * devices
    if round(size) < 1 or not isclose(size, round(size), rel_tol=1e-9):
        lower, upper = int(size), int(size) + 1
        ways = " or ".join(f"{n / devices:.12g} (batch {n})" for n in (lower, upper) if n >= 1)
        raise SpecError(
            f"batch.perDevice {batch.per_device:g} x {devices} devices = {size:g}, not a whole batch; use {ways}"
        )
    return round(size)
