"""The moving average of the parameters, in float32.

    average_{n+1} = d_n average_n + (1 - d_n) params_{n+1},    d_n = min(decay, (1 + n) / (10 + n))        (1)

with n the steps taken before: d_0 = 1/10, so that the initial parameters are soon forgotten.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from mdctl.diffusion.denoise import Params


def ema_decay(step: Int32[Array, ""], decay: float) -> Float32[Array, ""]:
    """Return d_n of (1)."""
    n = step.astype(jnp.float32)
    return jnp.minimum(decay, (1 + n) / (10 + n))


def update_ema(ema: Params, params: Params, step: Int32[Array, ""], decay: float) -> Params:
    """Return the average after the parameters of one more step, by (1)."""
    d = ema_decay(step, decay)
    return jax.tree.map(lambda average, param: d * average + (1 - d) * param.astype(jnp.float32), ema, params)
