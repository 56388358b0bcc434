"""From a data set on the host to global batches on the devices.

A host loads the rows that its own devices hold, once each, however the mesh lies over the hosts. Batches may differ in
shape: what is jitted and takes them compiles once for each.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Float32

from mdctl.data.dataset import Dataset
from mdctl.parallel.rules import activation_sharding, replicated
from mdctl.training.objective import GlobalBatch

logger = logging.getLogger(__name__)


def feed(dataset: Dataset, start_step: int, global_batch: int, mesh: Mesh) -> Iterator[GlobalBatch]:
    """Yield global batches start_step, start_step + 1, ... without end, cut along the batch axes of the mesh."""
    sharding = activation_sharding(mesh, "batch")
    positions = held_positions(sharding, global_batch)
    seen: set[tuple[int, ...]] = set()
    for step, batch in enumerate(dataset.batches(start_step, global_batch, positions), start=start_step + 1):
        shape = batch["latents"].shape[1:]
        if seen and shape not in seen:
            size = " x ".join(map(str, shape))
            logger.info("step %d is the first with latents of %s and compiles", step, size, extra={"shared": True})
        seen.add(shape)
        yield place_rows(batch, positions, global_batch, sharding)


def held_positions(sharding: NamedSharding, global_batch: int) -> list[int]:
    """Return the rows of a global batch that this host's devices hold, in order."""
    held = sharding.addressable_devices_indices_map((global_batch,)).values()
    return sorted({row for index in held if index is not None for row in range(*index[0].indices(global_batch))})


def place_rows(batch: Any, positions: list[int], global_batch: int, sharding: NamedSharding) -> Any:
    """Put a host's rows, which stand at `positions` of the global batch, on its devices."""
    number = {position: n for n, position in enumerate(positions)}

    def place(rows: np.ndarray) -> Array:
        def shard(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None, "only addressable shards are asked for"
            return rows[[number[position] for position in range(*index[0].indices(global_batch))]]

        return jax.make_array_from_callback((global_batch, *rows.shape[1:]), sharding, shard)

    return jax.tree.map(place, batch)


def place_whole(arrays: Mapping[str, Float32[np.ndarray, "..."]], mesh: Mesh) -> dict[str, Float32[Array, "..."]]:
    """Put the same arrays on every device."""
    sharding = replicated(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array, array.shape) for name, array in arrays.items()
    }
