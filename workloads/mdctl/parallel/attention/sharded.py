"""Attention inside a scan over blocks: each device attends from its own queries, for its own heads and videos.

Keys and values of tokens are gathered along the axes that cut the tokens; the transpose of that gather is the sum of
their gradients, left scattered as the keys were. A text is whole on every device of a sequence, and nothing moves.
"""

import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float

from mdctl.parallel.attention import Attention
from mdctl.parallel.rules import TENSOR, TOKENS, hand_laid, num_token_shards

HEADS = PartitionSpec(None, None, TENSOR, None)


def over_tokens(mesh: Mesh, kernel: Attention) -> Attention:
    """Return the attention of tokens to tokens: keys, values and mask are cut like the queries."""
    if num_token_shards(mesh) == 1:
        return over_text(mesh, kernel)
    attend = over_text(mesh, kernel)

    def gather(x: Array) -> Array:
        whole: Array = jax.lax.all_gather(x, TOKENS, axis=1, tiled=True)
        return whole

    def gathered(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        return attend(q, gather(k), gather(v), None if mask is None else gather(mask))

    return gathered


def over_text(mesh: Mesh, kernel: Attention) -> Attention:
    """Return the attention of tokens to a text: keys, values and mask are whole in every part of the sequence."""
    if mesh.shape["tensor"] == 1:
        return kernel

    def attend(
        q: Float[Array, "B L N K"],
        k: Float[Array, "B S N K"],
        v: Float[Array, "B S N K"],
        mask: Bool[Array, "B S"] | None = None,
    ) -> Float[Array, "B L N K"]:
        each = jax.shard_map(
            kernel,
            mesh=jax.sharding.get_abstract_mesh() if hand_laid(mesh) else mesh,
            in_specs=(HEADS, HEADS, HEADS, PartitionSpec()),
            out_specs=HEADS,
            axis_names=set(TENSOR),
            check_vma=False,  # Pallas kernels do not say over which axes their results vary
        )
        return each(q, k, v, mask)

    return attend
