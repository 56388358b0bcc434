"""Parameters drawn anew, alike on both sides: a function of the seed and the published name alone, in NumPy alone.

Nothing is left zero or one: matrices and convolutions are normal at 1 / sqrt(fan in), gains 1 + 0.1 n, biases 0.1 n.
"""

import zlib
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

GAINS = ("gamma", "norm.weight", "norm1.weight", "norm2.weight", "norm3.weight", "norm_q.weight", "norm_k.weight")


def redraw(shapes: Mapping[str, Sequence[int]], *, seed: int) -> dict[str, np.ndarray]:
    """Return float32 values for tensors by their published names and shapes."""
    return {name: _draw(name, tuple(shape), seed) for name, shape in shapes.items()}


def _draw(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    normal = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(shape, np.float32)
    if name.endswith(GAINS):
        return np.float32(1) + np.float32(0.1) * normal
    if name.endswith("bias"):
        return np.float32(0.1) * normal
    return normal / np.float32(np.sqrt(prod(shape[1:])))
