"""Classifier-free guidance (Ho and Salimans 2022) as a wrapper of the network.

    guided     = null + scale (conditional - null)                                              (1)
    prediction = guided (rescale std(conditional) / std(guided) + 1 - rescale)                  (2)

By (2), of Lin et al. 2023 (eq. 15 and 16), a large scale does not make pictures glaring: at rescale 1 the standard
deviation, over all of a sample's elements, is the conditional prediction's.

Both predictions come from one evaluation of twice the batch: a layer's weights are then gathered once and not twice.
The two halves are interleaved (sample 0 conditional, sample 0 null, sample 1 conditional, ...), so that a batch that is
sharded over devices doubles in place: each device holds both halves of its own samples and nothing is sent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params

ELEMENTS = (1, 2, 3, 4)
"""The dims of a latent but the first."""


class Guidance(NamedTuple):
    """How far to go beyond the conditional prediction (1), and how much of what that adds to take back (2)."""

    scale: float
    rescale: float = 0.0


def guided(denoise: Denoise, null_conditioning: Conditioning, guidance: Guidance) -> Denoise:
    """Return the network guided by (1) and (2).

    Scale 1 is the conditional model, 0 the unconditional, each one evaluation a sample and nothing to rescale.
    `null_conditioning` is that of one sample (no batch dim) or of each.
    """
    scale, rescale = guidance
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
        return rescaled(null + scale * (conditional - null), conditional, rescale)

    return unconditional if scale == 0 else both


def rescaled(
    guided_BTHWC: Float32[Array, "B T H W C"], conditional_BTHWC: Float32[Array, "B T H W C"], rescale: float
) -> Float32[Array, "B T H W C"]:
    """Return (2)."""
    if rescale == 0:
        return guided_BTHWC
    wanted, found = (jnp.std(x, ELEMENTS, keepdims=True, ddof=1) for x in (conditional_BTHWC, guided_BTHWC))
    ratio = jnp.where(found > 0, wanted / found, 1.0)  # what is the same everywhere has no contrast to take back
    return guided_BTHWC * (rescale * ratio + 1 - rescale)


def spread(null_conditioning: Conditioning, conditioning: Conditioning) -> Conditioning:
    """Return the null conditioning for every sample that `conditioning` is for."""
    return jax.tree.map(lambda null, given: jnp.broadcast_to(null, given.shape), null_conditioning, conditioning)


def _twice(x: Array) -> Array:
    return repeat(x, "b ... -> (b two) ...", two=2)


def _interleave(conditional: Array, null: Array) -> Array:
    return rearrange(jnp.stack([conditional, null], axis=1), "b two ... -> (b two) ...")
