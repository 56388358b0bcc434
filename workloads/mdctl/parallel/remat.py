"""Rematerialisation: what a block keeps of its forward pass for its backward pass, by name.

A policy wraps the body of a scan over blocks, `block(carry, params) -> (carry, outputs)`. What flows into a block is
kept in any case; `full` keeps nothing else, so that every block runs twice.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.ad_checkpoint import checkpoint_policies as policies

from mdctl.parallel.attention import ATTENTION_RESIDUALS

Block = Callable[..., Any]
Remat = Callable[[Block], Block]

CARRY = "carry"


def keep_everything(block: Block) -> Block:
    """Rematerialise nothing."""
    return block


def _keep(policy: Callable[..., Any]) -> Remat:
    return partial(jax.checkpoint, policy=policy, prevent_cse=False)


def _offload_carry(block: Block) -> Block:
    """Keep in host memory what flows into the block, and the attention kernels' residuals."""

    def named(carry: Any, params: Any) -> Any:
        return block(jax.tree.map(lambda x: checkpoint_name(x, CARRY), carry), params)

    names = [CARRY, ATTENTION_RESIDUALS]
    to_host = policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=names,
        offload_src="device",
        offload_dst="pinned_host",
    )
    return _keep(to_host)(named)


REMAT: Mapping[str, Remat] = {
    "none": keep_everything,
    "full": _keep(policies.nothing_saveable),
    "attention": _keep(policies.save_only_these_names(ATTENTION_RESIDUALS)),
    "hidden_state_with_offload": _offload_carry,
    "matmul_without_batch": _keep(policies.dots_with_no_batch_dims_saveable),
    "offload_matmul_without_batch": _keep(policies.offload_dot_with_no_batch_dims("device", "pinned_host")),
}
"""By name. `attention` keeps the kernels' output and log of the sum, so that no kernel runs twice;
`hidden_state_with_offload` that and what flows into a block, in host memory; `matmul_without_batch` products with
weights; `offload_matmul_without_batch` those, in host memory."""
