"""One of two processes that load a Wan transformer over a mesh of both and save it again.

Usage: reload_over_hosts.py COORDINATOR PROCESS SOURCE TARGET
"""

import sys
from pathlib import Path

import jax
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


def main(coordinator: str, process: int, source: Path, target: Path) -> None:
    """Load and save."""
    jax.distributed.initialize(coordinator, 2, process)
    cfg = WanConfig.from_published(weights.read_config(source))
    params = nnx.state(nnx.eval_shape(lambda: WanTransformer(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))))
    mesh = jax.make_mesh((1, 4, 1, 1, 2), AXES, axis_types=(AxisType.Auto,) * len(AXES))
    loaded = weights.load(TABLE, source, params, parameter_shardings(mesh, params, LAYOUT))
    assert not loaded["blocks"]["attn1"]["to_q"]["kernel"].is_fully_addressable
    weights.save(TABLE, loaded, target, config=cfg.to_published(), max_file_bytes=5000)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
