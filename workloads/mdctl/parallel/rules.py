"""Logical axes -> mesh axes: the one place that says how arrays lie over the mesh.

Models name the dimensions of their activations and parameters; nothing else knows the mesh. An activation's dimension
must be a multiple of its shards. A parameter's need not: it takes the longest run of its mesh axes that divides it, so
an odd dimension is cut into fewer parts, or not at all, and the memory tells.

Parameters are cut along "embed" over every axis that does not already cut their features, so that one replica of the
model is spread over all its devices; a layer's parameters are gathered where the layer runs (`mdctl.parallel.blocks`).
"""

from collections.abc import Mapping, Sequence, Set
from fnmatch import fnmatchcase
from math import prod
from typing import Any, Protocol, runtime_checkable

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mdctl.spec.errors import SpecError

BATCH = ("data", "fsdp")
TOKENS = ("surplus", "context")
TENSOR = ("tensor",)

ACTIVATIONS: Mapping[str | None, tuple[str, ...]] = {
    "batch": BATCH,
    "tokens": TOKENS,
    "text": (),
    "heads": TENSOR,
    "head": (),
    "mlp": TENSOR,
    None: (),
}

PARAMETERS: Mapping[str | None, tuple[str, ...]] = {
    "embed": ("fsdp", *TOKENS),
    "heads": TENSOR,
    "mlp": TENSOR,
    None: (),
}

LogicalAxes = tuple[str | None, ...]
"""The name of each dimension; None is cut by nothing."""

KeyPath = tuple[Any, ...]

ParameterLayout = Sequence[tuple[str, LogicalAxes]]
"""Pattern of dotted parameter names -> axes of the trailing dimensions; the first match counts."""


@runtime_checkable
class Constrain(Protocol):
    """Say how an activation lies over the mesh."""

    def __call__(self, x: jax.Array, *axes: str | None) -> jax.Array:
        """Constrain `x`, one logical axis name (or None) for each of its dimensions."""
        ...


def constrain_over(mesh: Mesh) -> Constrain:
    """Return the constraint on activations; it raises SpecError where a dimension is not a multiple of its shards.

    Where a scan over blocks has laid some axes by hand, it says how the others cut what is left.
    """

    def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
        assert len(axes) == x.ndim, (axes, x.shape)
        spec = activation_sharding(mesh, *axes).spec
        if jax.sharding.get_abstract_mesh().manual_axes:
            return leave_to_xla(x, spec)
        for size, axis in zip(x.shape, axes, strict=True):
            if size % (shards := _count(mesh, ACTIVATIONS[axis])):
                raise SpecError(f"{size} {axis} cannot be cut into {shards} equal shards; change the mesh or the batch")
        return _constrained(x, NamedSharding(mesh, spec))

    return constrain


def hand_laid(mesh: Mesh) -> Set[str]:
    """Return the axes along which a scan over blocks lays arrays itself: none if nothing but the tensor axis cuts.

    The tensor axis is XLA's, unless it is 1: then it is taken too, since Pallas kernels want all or nothing.
    """
    cutting = {name for name in mesh.axis_names if mesh.shape[name] > 1}
    return set(mesh.axis_names) - (cutting & set(TENSOR)) if cutting - set(TENSOR) else set()


def only(spec: PartitionSpec, names: Set[str]) -> PartitionSpec:
    """Return the part of a spec that concerns some mesh axes."""
    return PartitionSpec(*(tuple(name for name in part or () if name in names) or None for part in spec))


def leave_to_xla(x: jax.Array, spec: PartitionSpec) -> jax.Array:
    """Constrain `x` along the axes that are not laid by hand here."""
    mesh = jax.sharding.get_abstract_mesh()
    left = only(spec, set(mesh.axis_names) - set(mesh.manual_axes))
    return x if not any(left) else _constrained(x, NamedSharding(mesh, left))


def _constrained(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    constrained: jax.Array = jax.lax.with_sharding_constraint(x, sharding)
    return constrained


def activation_sharding(mesh: Mesh, *axes: str | None) -> NamedSharding:
    """Return the sharding of an activation, by the names of its leading dimensions."""
    return NamedSharding(mesh, PartitionSpec(*(ACTIVATIONS[axis] or None for axis in axes)))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def num_token_shards(mesh: Mesh) -> int:
    """Return the parts each sequence is cut into."""
    return _count(mesh, TOKENS)


def parameter_shardings(mesh: Mesh, params: Any, layout: ParameterLayout) -> Any:
    """Return the sharding of every parameter; each name must match a pattern of `layout`."""

    def sharding(path: KeyPath, leaf: Any) -> NamedSharding:
        return parameter_sharding(mesh, leaf.shape, _axes_of(path_name(path), layout))

    return jax.tree.map_with_path(sharding, params)


def parameter_sharding(mesh: Mesh, shape: tuple[int, ...], axes: LogicalAxes) -> NamedSharding:
    """Return the sharding of one parameter; leading dimensions without a name are stacked layers, never cut.

    A mesh axis cuts the first dimension that asks for it.
    """
    free = set(mesh.axis_names)
    parts: list[tuple[str, ...] | None] = []
    for size, axis in zip(shape, (None,) * (len(shape) - len(axes)) + axes, strict=True):
        wanted = tuple(name for name in PARAMETERS[axis] if name in free)
        taken = next(wanted[:n] for n in range(len(wanted), -1, -1) if size % _count(mesh, wanted[:n]) == 0)
        free -= set(taken)
        parts.append(taken or None)
    return NamedSharding(mesh, PartitionSpec(*parts))


def under(name: str, layout: ParameterLayout) -> ParameterLayout:
    """Return the layout of a tree that has the one laid out so under `name`."""
    return tuple((f"{name}.{pattern}", axes) for pattern, axes in layout)


def shard_like(params: Any, shardings: Any, state: Any, *, otherwise: NamedSharding) -> Any:
    """Return the sharding of every leaf of `state`: that of the parameter whose path its own path ends in.

    Optimiser moments and averages repeat the tree of parameters at some depth; what repeats none of it, or not its
    shape, is laid out as `otherwise`.
    """
    known = {
        (_parts(path), leaf.shape): sharding
        for (path, leaf), sharding in zip(jax.tree.leaves_with_path(params), jax.tree.leaves(shardings), strict=True)
    }

    def sharding(path: KeyPath, leaf: Any) -> NamedSharding:
        names = _parts(path)
        matches = (known.get((names[start:], leaf.shape)) for start in range(len(names)))
        return next((match for match in matches if match is not None), otherwise)

    return jax.tree.map_with_path(sharding, state)


def path_name(path: KeyPath) -> str:
    """Return the dotted name of a parameter, as `blocks.attn1.to_q.kernel`."""
    return ".".join(_parts(path))


def _parts(path: KeyPath) -> tuple[str, ...]:
    names = tuple(jax.tree_util.keystr((key,), simple=True) for key in path)
    return names[:-1] if names[-1:] == ("value",) else names


def _axes_of(name: str, layout: ParameterLayout) -> LogicalAxes:
    for pattern, axes in layout:
        if fnmatchcase(name, pattern):
            return axes
    raise KeyError(f"no pattern of the parameter layout matches {name}")


def _count(mesh: Mesh, names: tuple[str, ...]) -> int:
    return prod(mesh.shape[name] for name in names)
