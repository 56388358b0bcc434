"""Attention over a mesh: each device attends from its own queries, for its own heads and videos.

Over tokens, keys and values are gathered along the axes that cut them; the transpose of that gather is the sum of
their gradients, left scattered as the keys were. Over a text, which every device of a sequence holds, nothing moves.
"""

from functools import partial

import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import Attention
from mdctl.parallel.rules import BATCH, TENSOR, TOKENS

QUERIES = PartitionSpec(BATCH, TOKENS, TENSOR, None)
TEXT = PartitionSpec(BATCH, None, TENSOR, None)


def over_tokens(mesh: Mesh, kernel: Attention) -> Attention:
    """Return the attention of tokens to tokens: keys, values and mask are cut like the queries."""
    gather = partial(jax.lax.all_gather, axis_name=TOKENS, axis=1, tiled=True)

    def gathered(q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        return kernel(q, gather(k), gather(v), None if mask is None else gather(mask))

    return _sharded(mesh, gathered, keys=QUERIES, mask=PartitionSpec(BATCH, TOKENS))


def over_text(mesh: Mesh, kernel: Attention) -> Attention:
    """Return the attention of tokens to a text: keys, values and mask are whole in every part of the sequence."""
    return _sharded(mesh, kernel, keys=TEXT, mask=PartitionSpec(BATCH))


def _sharded(mesh: Mesh, kernel: Attention, *, keys: PartitionSpec, mask: PartitionSpec) -> Attention:
    mapped = jax.shard_map(
        kernel,
        mesh=mesh,
        in_specs=(QUERIES, keys, keys, mask),
        out_specs=QUERIES,
        check_vma=False,  # Pallas kernels do not say over which axes their results vary
    )

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        return mapped(q, k, v, mask)

    return attend
