"""How a model runs, as one value: kernels, layout, rematerialisation and dtypes.

A model takes an `Execution` and asks it nothing but to be applied; which kernel, which mesh and which policy stand
behind it was chosen once, at the edge, from the spec.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from mdctl.parallel.attention import Attention
from mdctl.parallel.attention.dot_product import dot_product_attention
from mdctl.parallel.blocks import Scan, scan_on_one_device
from mdctl.parallel.remat import keep_everything
from mdctl.parallel.rules import Constrain


def unconstrained(x: jax.Array, *axes: str | None) -> jax.Array:
    """Leave the layout to the compiler."""
    assert len(axes) == x.ndim, (axes, x.shape)
    return x


ON_ONE_DEVICE = scan_on_one_device(keep_everything)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What a model needs to know of where it runs.

    `scan` runs a stack of blocks. Inside a block `attention` is over the tokens, which may be sharded, and
    `cross_attention` over a text sequence, which is not.
    Sequences are padded to a multiple of `token_multiple`. `dtype` is that of activations, `param_dtype` that in which
    parameters are created.
    """

    attention: Attention = dot_product_attention
    cross_attention: Attention = dot_product_attention
    constrain: Constrain = unconstrained
    scan: Scan = ON_ONE_DEVICE
    token_multiple: int = 1
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @classmethod
    def plain(cls, dtype: DTypeLike = jnp.float32) -> "Execution":
        """Return the execution of unit tests: one device, everything written out."""
        return cls(dtype=dtype)
