"""Images coded in overlapping tiles, so that memory grows with the tile and not with the image.

Tiles start every three quarters of their size, from the upper left; those at the lower and right edge are what is left.
Where a tile of the output begins, it is blended with the end of its neighbour: over n rows, row y becomes

    (1 - y / n) above[y - n] + (y / n) tile[y]                              (1)

first with the tile above and then with the one to the left, each as it is after its own blending. Then each tile gives
its first three quarters. As published, down to the order; what a tile is blended with is as long as both have it.

Letters: B batch, H height, W width, C channels.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdctl.models.autoencoder_kl.layers import Image

Place = tuple[int, int]
"""Row and column of a tile."""


class Tiling(NamedTuple):
    """Sizes of square tiles: `size` and `step` of the input; `blend` and `keep` of the output."""

    size: int
    step: int
    blend: int
    keep: int

    @classmethod
    def of(cls, size: int, output: int) -> "Tiling":
        """Return the tiling for a network that makes `output` positions of `size`."""
        return cls(size, size * 3 // 4, output // 4, output - output // 4)


def over_tiles(network: Callable[[Image], Image], x_BHWC: Image, tiling: Tiling) -> Image:
    """Run a network on each tile and put its outputs together; tiles of one shape are run in turn by one loop."""
    rows, columns = (range(0, size, tiling.step) for size in x_BHWC.shape[1:3])
    tiles = {
        (i, j): x_BHWC[:, row : row + tiling.size, column : column + tiling.size]
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    }
    outputs = _run(network, tiles)
    for i, j in tiles:  # row by row, so that neighbours have been blended before
        if i > 0:
            outputs[i, j] = blend(outputs[i - 1, j], outputs[i, j], tiling.blend, dim=1)
        if j > 0:
            outputs[i, j] = blend(outputs[i, j - 1], outputs[i, j], tiling.blend, dim=2)
    kept = {place: output[:, : tiling.keep, : tiling.keep] for place, output in outputs.items()}
    strips = [jnp.concatenate([kept[i, j] for j in range(len(columns))], axis=2) for i in range(len(rows))]
    return jnp.concatenate(strips, axis=1)


def blend(before: Image, tile: Image, extent: int, *, dim: int) -> Image:
    """Blend the beginning of a tile along `dim` with the end of the one before it, by (1)."""
    extent = min(extent, before.shape[dim], tile.shape[dim])
    if extent == 0:
        return tile
    shape = [1] * tile.ndim
    shape[dim] = extent
    share = jnp.asarray(np.arange(extent) / extent, tile.dtype).reshape(shape)
    end = jax.lax.slice_in_dim(before, before.shape[dim] - extent, None, axis=dim)
    begin, rest = jnp.split(tile, [extent], axis=dim)
    return jnp.concatenate([end * (1 - share) + begin * share, rest], axis=dim)


def _run(network: Callable[[Image], Image], tiles: Mapping[Place, Image]) -> dict[Place, Image]:
    """Run a network on tiles, one after another; it is compiled once for each shape."""
    alike: dict[tuple[int, ...], list[Place]] = defaultdict(list)
    for place, tile in tiles.items():
        alike[tile.shape].append(place)
    outputs: dict[Place, Image] = {}
    for places in alike.values():
        outputs |= zip(places, jax.lax.map(network, jnp.stack([tiles[place] for place in places])), strict=True)
    return outputs
