"""What a spec chooses by name - kernel, rematerialisation, dtypes - over a mesh, as one execution."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.sharding import Mesh

from mdctl.parallel.attention import Attention
from mdctl.parallel.attention.dot_product import dot_product_attention
from mdctl.parallel.attention.kernels import KERNELS, by_length, unmasked
from mdctl.parallel.attention.sharded import over_text, over_tokens
from mdctl.parallel.blocks import scan_over
from mdctl.parallel.execution import Execution
from mdctl.parallel.remat import REMAT
from mdctl.parallel.rules import constrain_over, num_token_shards
from mdctl.spec.model import AttentionSpec, Dtype


def make_execution(
    mesh: Mesh, *, attention: AttentionSpec, remat: str, dtype: Dtype, param_dtype: Dtype = "float32"
) -> Execution:
    """Return how a model runs over `mesh`; the names have been checked by the spec.

    Sequences are padded to a multiple of their shards; what a kernel needs beyond that it fills up by itself.
    """
    kernel = KERNELS[attention.kernel](mesh.devices.flat[0], mask_padding=attention.mask_padding_tokens)

    def over_mesh(over: Callable[[Mesh, Attention], Attention]) -> Attention:
        long, short = over(mesh, kernel), over(mesh, dot_product_attention)
        chosen = by_length(attention.flash_min_seq_length, long=long, short=short)
        return chosen if attention.mask_padding_tokens else unmasked(chosen)

    return Execution(
        attention=over_mesh(over_tokens),
        cross_attention=over_mesh(over_text),
        constrain=constrain_over(mesh),
        scan=scan_over(mesh, REMAT[remat], jnp.dtype(dtype)),
        token_multiple=num_token_shards(mesh),
        dtype=jnp.dtype(dtype),
        param_dtype=jnp.dtype(param_dtype),
    )
