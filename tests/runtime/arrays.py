"""What a checkpoint holds, byte for byte."""

import jax
import numpy as np
import orbax.checkpoint as ocp


def arrays(output, step):
    """Return every array of a checkpoint as it is on disk."""
    found = {}
    for item in ("params", "opt_state", "ema"):
        handler = ocp.PyTreeCheckpointHandler()
        folder = output / "checkpoints" / str(step) / item
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), handler.metadata(folder).tree)
        found[item] = handler.restore(folder, restore_args=as_numpy)
    return found


def assert_identical(left, right):
    for (path, a), (_, b) in zip(jax.tree.leaves_with_path(left), jax.tree.leaves_with_path(right), strict=True):
        assert a.tobytes() == b.tobytes(), jax.tree_util.keystr(path)
