"""How a model runs, as one value: kernels, layout, rematerialisation and dtypes.

A model takes an `Execution` and asks it nothing but to be applied; which kernel, which mesh and which policy stand
behind it was chosen once, at the edge, from the spec.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from mdctl.parallel.attention import Attention
from mdctl.parallel.attention.dot_product import dot_product_attention


@runtime_checkable
class Constrain(Protocol):
    """Say how an activation is laid out over the mesh."""

    def __call__(self, x: jax.Array, *axes: str | None) -> jax.Array:
        """Constrain `x`, one logical axis name (or None) for each of its dimensions."""
        ...


def unconstrained(x: jax.Array, *axes: str | None) -> jax.Array:
    """Leave the layout to the compiler."""
    assert len(axes) == x.ndim, (axes, x.shape)
    return x


def keep_everything(block: Callable[..., Any]) -> Callable[..., Any]:
    """Rematerialise nothing."""
    return block


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What a model needs to know of where it runs.

    `attention` is over the tokens, which may be sharded; `cross_attention` over a text sequence, which is not.
    Sequences are padded to a multiple of `token_multiple`. `dtype` is that of activations, `param_dtype` that in which
    parameters are created.
    """

    attention: Attention = dot_product_attention
    cross_attention: Attention = dot_product_attention
    constrain: Constrain = unconstrained
    remat: Callable[[Callable[..., Any]], Callable[..., Any]] = keep_everything
    token_multiple: int = 1
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @classmethod
    def plain(cls, dtype: DTypeLike = jnp.float32) -> "Execution":
        """Return the execution of unit tests: one device, everything written out."""
        return cls(dtype=dtype)
