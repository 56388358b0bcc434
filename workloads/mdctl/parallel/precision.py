"""float32 means float32: the precision under which networks are traced.

On TPU, JAX's default rounds the operands of a float32 product to bfloat16, and on newer GPUs to TF32. What a network
computes in float32 because the original does (the time's embedding, the last projection, the whole VAE) would then be
no better than the rest. Under `full_precision` such products are exact to float32; products of bfloat16 stay what they
are. The derivative of a product takes over its precision, so it is enough to decorate what traces the forward pass,
and backward passes that are written by hand.
"""

from collections.abc import Callable
from functools import wraps

import jax


def full_precision[**Parameters, Result](function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function that traces a network."""

    @wraps(function)
    def traced(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return traced


kernel_precision = jax.default_matmul_precision("default")
"""A context for kernels that choose for themselves: Mosaic refuses products of bfloat16 for which float32 is asked."""
