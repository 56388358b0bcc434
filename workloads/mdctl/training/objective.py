"""The training loss: denoise one noisy latent per row, in float32.

    loss = mean over rows of w(s) mean over elements of (denoise(x_s, s) - target)^2        (1)

Time s, noise and caption dropout of a row are functions of (seed, step, row) alone, so that (1) does not depend on how
the batch is laid out or cut. A row is the number of a sample in the sequence of training, modulo 2^32.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

from collections.abc import Callable
from typing import TypedDict

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.densities import DENSITIES
from mdctl.diffusion.guidance import spread
from mdctl.diffusion.process import Process
from mdctl.diffusion.randomness import Stream, row_keys, row_noise, stream_key
from mdctl.diffusion.weightings import WEIGHTINGS
from mdctl.spec.shapes import LatentShape
from mdctl.spec.training import Objective


class GlobalBatch(TypedDict):
    """What one step trains on, over all devices."""

    latents: Float32[Array, "B T H W C"]
    conditioning: Conditioning
    rows: UInt32[Array, " B"]


Loss = Callable[[Params, Int32[Array, ""], GlobalBatch, Conditioning], Float32[Array, ""]]
"""(params, step, batch, null conditioning) -> loss."""

Errors = Callable[
    [Params, Float32[Array, "B T H W C"], Float32[Array, "B T H W C"], Float32[Array, " B"], Conditioning],
    Float32[Array, " B"],
]
"""(params, latents, noise, time, conditioning) -> mean squared error of each row."""


def make_loss(denoise: Denoise, process: Process, objective: Objective, seed: int) -> Loss:
    """Return (1) as a function of parameters, step and batch.

    Its null conditioning, of one sample or of each, stands in for a dropped caption.
    """
    density = DENSITIES[objective.time_density]
    weight = WEIGHTINGS[objective.weighting](density, objective.shift)
    errors = make_errors(denoise, process)

    def loss(
        params: Params, step: Int32[Array, ""], batch: GlobalBatch, null_conditioning: Conditioning
    ) -> Float32[Array, ""]:
        latents = batch["latents"]
        keys_B = row_keys(stream_key(Stream.TRAINING, seed, step), batch["rows"])
        time_keys, noise_keys, dropout_keys = split_each(keys_B, 3)
        time_B = density.times(time_keys, objective.shift)
        noise = row_noise(noise_keys, LatentShape(*latents.shape[1:]))
        dropped_B = jax.vmap(lambda key: jax.random.bernoulli(key, objective.caption_dropout))(dropout_keys)
        conditioning = drop(dropped_B, batch["conditioning"], null_conditioning)
        return jnp.mean(weight(time_B) * errors(params, latents, noise, time_B, conditioning))

    return loss


def make_errors(denoise: Denoise, process: Process) -> Errors:
    """Return the inner mean of (1), for each row."""

    def errors(
        params: Params,
        latents: Float32[Array, "B T H W C"],
        noise: Float32[Array, "B T H W C"],
        time_B: Float32[Array, " B"],
        conditioning: Conditioning,
    ) -> Float32[Array, " B"]:
        time_B1111 = jnp.expand_dims(time_B, (1, 2, 3, 4))
        x = process.add_noise(latents, noise, time_B1111)
        prediction = denoise(params, x, process.model_time(time_B), conditioning)
        return jnp.mean(jnp.square(prediction - process.target(latents, noise, time_B1111)), axis=(1, 2, 3, 4))

    return errors


def split_each(keys_B: Key[Array, " B"], num: int) -> Key[Array, "num B"]:
    """Return `num` independent keys for each row."""
    return jax.vmap(lambda key: jax.random.split(key, num), out_axes=1)(keys_B)


def drop(dropped_B: Bool[Array, " B"], conditioning: Conditioning, null_conditioning: Conditioning) -> Conditioning:
    """Put the null conditioning where `dropped_B` says so."""

    def choose(given: Array, null: Array) -> Array:
        return jnp.where(jnp.expand_dims(dropped_B, tuple(range(1, given.ndim))), null, given)

    return jax.tree.map(choose, conditioning, spread(null_conditioning, conditioning))
