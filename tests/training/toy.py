"""A network of a few numbers, and batches for it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.training.objective import GlobalBatch

CHANNELS = 4
NULL: Conditioning = {"text": jnp.full((2, CHANNELS), -1.0, jnp.float32)}


def denoise(
    params: Params, x_BTHWC: Float32[Array, "B T H W C"], time_B: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    text_BC: Array = conditioning["text"].mean(1)
    added_BC = text_BC * (time_B / 1000)[:, None] + params["bias"][None]
    return jnp.tanh(jnp.matmul(x_BTHWC, params["kernel"], precision="highest") + added_BC[:, None, None, None, :])


def params(seed: int = 0) -> Params:
    rng = np.random.default_rng(seed)
    return {
        "kernel": jnp.asarray(rng.normal(0, 0.5, (CHANNELS, CHANNELS)), jnp.float32),
        "bias": jnp.asarray(rng.normal(0, 0.1, CHANNELS), jnp.float32),
    }


def batch(size: int = 8, seed: int = 1, first_row: int = 0) -> GlobalBatch:
    rng = np.random.default_rng(seed)
    return {
        "latents": jnp.asarray(rng.normal(size=(size, 2, 3, 3, CHANNELS)), jnp.float32),
        "conditioning": {"text": jnp.asarray(rng.normal(size=(size, 2, CHANNELS)), jnp.float32)},
        "rows": jnp.arange(first_row, first_row + size, dtype=jnp.uint32),
    }


def decay_mask(params: Params) -> dict[str, bool]:
    assert set(params) == {"kernel", "bias"}
    return {"kernel": True, "bias": False}
