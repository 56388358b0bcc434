"""Positions of tokens: planes of each head turned by angles along time, height and width.

A head of K channels has J = K / 2 planes, split among the three axes; at position p along its axis, plane j of an axis
that has d channels is turned by

    p THETA^(-2j / d)                                          (1)

The published planes are pairs of neighbouring channels. Scores do not change when the channels of q and k within a head
are permuted alike, so `halve` permutes the projections (small) and planes become the two halves of a head, which spares
the activations (large) strided copies.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float

from mdctl.spec.shapes import PatchGrid

THETA = 10_000.0


class Rotary(NamedTuple):
    """Cosine and sine of the angle of every token in every plane."""

    cos: Float[Array, "L J"]
    sin: Float[Array, "L J"]


def rotary_dims(head_dim: int) -> tuple[int, int, int]:
    """Return how many channels of a head carry the position along time, height and width."""
    side = 2 * (head_dim // 6)
    return head_dim - 2 * side, side, side


def rotary_positions(grid: PatchGrid, head_dim: int, length: int) -> Rotary:
    """Return the angles of all tokens in raster order, each axis from its own table, then zeros up to `length`."""
    angles = [_axis_angles(size, dim) for size, dim in zip(grid, rotary_dims(head_dim), strict=True)]
    return Rotary(_spread([np.cos(a) for a in angles], length), _spread([np.sin(a) for a in angles], length))


def _axis_angles(size: int, dim: int) -> np.ndarray:
    """Return (1) in float64: float32 would lose digits along a long axis."""
    return np.outer(np.arange(size), THETA ** -(np.arange(0, dim, 2) / dim))


def _spread(tables: list[np.ndarray], length: int) -> Float[Array, "L J"]:
    """Lay three tables, one for each axis, over the whole grid, side by side."""
    grid = tuple(len(table) for table in tables)
    planes = []
    for axis, table in enumerate(tables):
        shape = [1, 1, 1, table.shape[1]]
        shape[axis] = len(table)
        planes.append(jnp.broadcast_to(jnp.asarray(table.reshape(shape), jnp.float32), (*grid, table.shape[1])))
    table_LJ = rearrange(jnp.concatenate(planes, axis=-1), "t h w j -> (t h w) j")
    return jnp.pad(table_LJ, ((0, length - table_LJ.shape[0]), (0, 0)))


def halve(w: Float[Array, "*in D"], heads: int) -> Float[Array, "*in D"]:
    """Permute channels so that neighbouring pairs of each head come to lie in its two halves."""
    return rearrange(w, "... (n j two) -> ... (n two j)", n=heads, two=2)


def rotate(x: Float[Array, "B L D"], rotary: Rotary, heads: int) -> Float[Array, "B L D"]:
    """Turn each plane of each head, its two channels in the head's two halves, by the token's angle."""
    a, b = jnp.split(rearrange(x, "b l (n k) -> b l n k", n=heads), 2, axis=-1)
    cos, sin = rotary.cos[None, :, None], rotary.sin[None, :, None]
    return rearrange(jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1), "b l n k -> b l (n k)")
