"""Stacks of equal blocks, run by one scan whose communication is written out.

    scan(block, x, params, inputs, layout) = x after   x = block(x, params[i], *inputs)   for every i            (1)

Over a mesh each device runs (1) on its own videos and tokens. A block's parameters are gathered when it runs, in the
dtype of activations, and the transpose of that gather leaves each device the sum of its own part of the gradient; what
all blocks share is summed once, after the last. XLA decides nothing here but how the tensor axis is used: left to lay
out the rest, it cuts the product with a gathered weight into a ring of small ones, and sums whole gradients of which a
device then keeps a part.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
from jax.sharding import Mesh, PartitionSpec
from jax.typing import DTypeLike

from mdctl.parallel.remat import Remat
from mdctl.parallel.rules import (
    LogicalAxes,
    ParameterLayout,
    activation_sharding,
    hand_laid,
    leave_to_xla,
    only,
    parameter_shardings,
)

Block = Callable[..., jax.Array]
"""(x, parameters of one block, *inputs) -> x."""


@dataclass(frozen=True, kw_only=True)
class BlockLayout:
    """How a stack of blocks lies over the mesh.

    `params` are the patterns of one block's parameter names, `carry` the axes of what flows through, and `inputs` those
    of each input that all blocks read; an input may be a tree, whose leaves lie alike.
    """

    params: ParameterLayout
    carry: LogicalAxes
    inputs: tuple[LogicalAxes, ...]


@runtime_checkable
class Scan(Protocol):
    """Run a stack of blocks, by (1)."""

    def __call__(
        self, block: Block, x: jax.Array, params: Any, inputs: tuple[Any, ...], layout: BlockLayout
    ) -> jax.Array:
        """Return x after the last block; every leaf of `params` has the blocks as leading dimension."""
        ...


def scan_on_one_device(remat: Remat) -> Scan:
    """Return (1) as it stands."""

    def scan(block: Block, x: jax.Array, params: Any, inputs: tuple[Any, ...], layout: BlockLayout) -> jax.Array:
        del layout
        return jax.lax.scan(remat(lambda x, one: (block(x, one, *inputs), None)), x, params)[0]

    return scan


def scan_over(mesh: Mesh, remat: Remat, dtype: DTypeLike) -> Scan:
    """Return (1) over a mesh; parameters that are cut are read in `dtype`."""
    by_hand = hand_laid(mesh)
    if not by_hand:
        return scan_on_one_device(remat)

    def scan(block: Block, x: jax.Array, params: Any, inputs: tuple[Any, ...], layout: BlockLayout) -> jax.Array:
        cuts = jax.tree.map(lambda sharding: sharding.spec, parameter_shardings(mesh, params, layout.params))

        def on_each_device(x: jax.Array, params: Any, inputs: tuple[Any, ...]) -> jax.Array:
            def step(x: jax.Array, one: Any) -> tuple[jax.Array, None]:
                whole = jax.tree.map(lambda leaf, cut: _gather(leaf, cut, by_hand, dtype), one, cuts)
                return block(x, whole, *inputs), None

            return jax.lax.scan(remat(step), x, params)[0]

        carry, *others = (
            only(activation_sharding(mesh, *axes).spec, by_hand) for axes in (layout.carry, *layout.inputs)
        )
        run = jax.shard_map(
            on_each_device,
            mesh=mesh,
            in_specs=(carry, jax.tree.map(lambda cut: only(cut, by_hand), cuts), tuple(others)),
            out_specs=carry,
            axis_names=by_hand,
            check_vma=False,  # Pallas kernels do not say over which axes their results vary
        )
        return run(x, params, inputs)

    return scan


def _gather(leaf: jax.Array, cut: PartitionSpec, by_hand: Set[str], dtype: DTypeLike) -> jax.Array:
    """Return one block's parameter whole, but for the tensor axis; `cut` is that of the stack."""
    _, *dims = cut
    for dim, names in enumerate(dims):
        if moved := tuple(name for name in names or () if name in by_hand):
            leaf = jax.lax.all_gather(leaf.astype(dtype), moved, axis=dim, tiled=True)
    return leave_to_xla(leaf, PartitionSpec(*dims))
