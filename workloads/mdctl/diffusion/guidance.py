"""Classifier-free guidance (Ho and Salimans 2022) as a wrapper of the network.

    prediction = null + scale (conditional - null)        (1)

Both predictions come from one evaluation of twice the batch: a layer's weights are then gathered once and not twice.
The two halves are interleaved (sample 0 conditional, sample 0 null, sample 1 conditional, ...), so that a batch that is
sharded over devices doubles in place: each device holds both halves of its own samples and nothing is sent.
"""

import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params


def guided(denoise: Denoise, null_conditioning: Conditioning, scale: float) -> Denoise:
    """Return the network guided by (1); 1 is the conditional model, 0 the unconditional, each one evaluation a sample.

    `null_conditioning` is that of one sample (no batch dim) or of each.
    """
    if scale == 1:
        return denoise

    def unconditional(
        params: Params,
        x_BTHWC: Float32[Array, "B T H W C"],
        time_B: Float32[Array, " B"],
        conditioning: Conditioning,
    ) -> Float32[Array, "B T H W C"]:
        return denoise(params, x_BTHWC, time_B, spread(null_conditioning, conditioning))

    def both(
        params: Params,
        x_BTHWC: Float32[Array, "B T H W C"],
        time_B: Float32[Array, " B"],
        conditioning: Conditioning,
    ) -> Float32[Array, "B T H W C"]:
        pairs = jax.tree.map(_interleave, conditioning, spread(null_conditioning, conditioning))
        prediction = denoise(params, _twice(x_BTHWC), _twice(time_B), pairs)
        conditional, null = rearrange(prediction, "(b two) t h w c -> two b t h w c", two=2)
        return null + scale * (conditional - null)

    return unconditional if scale == 0 else both


def spread(null_conditioning: Conditioning, conditioning: Conditioning) -> Conditioning:
    """Return the null conditioning for every sample that `conditioning` is for."""
    return jax.tree.map(lambda null, given: jnp.broadcast_to(null, given.shape), null_conditioning, conditioning)


def _twice(x: Array) -> Array:
    return repeat(x, "b ... -> (b two) ...", two=2)


def _interleave(conditional: Array, null: Array) -> Array:
    return rearrange(jnp.stack([conditional, null], axis=1), "b two ... -> (b two) ...")
