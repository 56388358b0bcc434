"""The committed reference arrays, and the distance from them.

`make parity` makes them anew elsewhere and points MDCTL_PARITY_DATA there.
"""

import os
from pathlib import Path

import numpy as np
from jax.typing import ArrayLike

DATA = Path(os.environ.get("MDCTL_PARITY_DATA", Path(__file__).parent / "data"))


def reference(name: str) -> dict[str, np.ndarray]:
    """Return the arrays that `reference/<name>.py` wrote."""
    with np.load(DATA / f"{name}.npz") as arrays:
        return dict(arrays)


def distance(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return max |ours - theirs| / max |theirs|."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
