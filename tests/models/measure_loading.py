"""Load a repository of Wan weights in this process and print what it holds and by how much the host's memory grew.

Usage: measure_loading.py FOLDER DTYPE, with the mesh from the number of devices in XLA_FLAGS.
"""

import json
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import AxisType

from mdctl.models import weights
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.sharding import LAYOUT
from mdctl.models.wan.weights import TABLE
from mdctl.parallel.execution import Execution
from mdctl.parallel.rules import parameter_shardings
from mdctl.spec.layout import AXES


def anonymous_bytes() -> int:
    """Return this process's memory that no file backs."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


class Peak(threading.Thread):
    """The largest anonymous memory seen, looked at every millisecond until `done` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.done = threading.Event()
        self.start_bytes = self.bytes = anonymous_bytes()

    def run(self) -> None:
        """Look."""
        while not self.done.wait(0.001):
            self.bytes = max(self.bytes, anonymous_bytes())


def main(folder: Path, dtype: str) -> None:
    """Load and print."""
    cfg = WanConfig.from_published(weights.read_config(folder))
    params = nnx.state(nnx.eval_shape(lambda: WanTransformer(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    shape = (1, jax.device_count() // 2, 1, 1, 2) if jax.device_count() > 1 else (1,) * len(AXES)
    mesh = jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES))
    shardings = parameter_shardings(mesh, params, LAYOUT)
    jax.block_until_ready(jnp.zeros(()))
    peak = Peak()
    peak.start()
    loaded = weights.load(TABLE, folder, params, shardings, jnp.dtype(dtype))
    peak.done.set()
    peak.join()
    placed = sum(shard.data.nbytes for leaf in jax.tree.leaves(loaded) for shard in leaf.addressable_shards)
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(loaded))
    blocks = sum(leaf.nbytes for leaf in jax.tree.leaves(loaded["blocks"]))
    growth = peak.bytes - peak.start_bytes
    print(json.dumps({"placed": placed, "whole": whole, "layer": blocks // cfg.num_layers, "growth": growth}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
