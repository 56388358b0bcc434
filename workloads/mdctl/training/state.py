"""All that training carries from one step to the next; a checkpoint is this, and integers."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mdctl.diffusion.denoise import Params
from mdctl.training.optimizer import AdamW, OptimizerState


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Steps taken, float32 master weights of what is trained, their moments, and their average (None: not kept)."""

    step: Any
    """An int32 scalar; Any, since the same tree also holds shapes and shardings."""
    params: Params
    opt_state: OptimizerState
    ema: Params | None


def init_state(params: Params, optimizer: AdamW, *, ema: bool) -> TrainState:
    """Return the state before the first step. The average starts at the parameters, in buffers of its own."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=optimizer.init(params),
        ema=jax.tree.map(jnp.copy, params) if ema else None,
    )
