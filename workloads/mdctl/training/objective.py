"""The training loss: denoise one noisy latent per row, in float32.

    loss = mean over rows of w(s) mean over elements of (denoise(x_s, s) - target)^2        (1)
    noise = n + offset m,   m one number for each channel                                   (2)

Where half of a batch is of a subject and half of its class, the prior (Ruiz et al. 2023, eq. 2),

    loss = mean over the subject's rows + weight mean over the prior's
         = mean over rows of c w(s) (...),   c = 2 for the subject's, 2 weight for the prior's   (3)

each mean as in (1). As a mean over all rows (3) is the same however they are cut. Stratified times are spread over each
half by itself.

Time s, noise and caption dropout of a row are functions of (seed, step, row) alone, so that (1) does not depend on how
the batch is laid out or cut. A row is the number of a sample in the sequence of training, modulo 2^32.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypedDict, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt32

from mdctl.data.halved_order import is_prior
from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.densities import DENSITIES, Density, biased, stratified
from mdctl.diffusion.guidance import spread
from mdctl.diffusion.process import Process
from mdctl.diffusion.randomness import Stream, row_keys, row_noise, stream_key
from mdctl.diffusion.weightings import Weighting, bell, flat, min_snr
from mdctl.networks.parts import together
from mdctl.spec.shapes import LatentShape
from mdctl.spec.training import Objective


class GlobalBatch(TypedDict):
    """What one step trains on, over all devices."""

    latents: Float32[Array, "B T H W C"]
    conditioning: Conditioning
    rows: UInt32[Array, " B"]


@runtime_checkable
class Loss(Protocol):
    """The loss of a batch."""

    def __call__(
        self,
        params: Params,
        step: Int32[Array, ""],
        batch: GlobalBatch,
        null_conditioning: Conditioning,
        frozen: Params = None,
        /,
    ) -> Float32[Array, ""]:
        """Return the loss; `frozen` are the parameters that are not trained, if there are any."""
        ...


Errors = Callable[
    [Params, Float32[Array, "B T H W C"], Float32[Array, "B T H W C"], Float32[Array, " B"], Conditioning],
    Float32[Array, " B"],
]
"""(params, latents, noise, time, conditioning) -> mean squared error of each row."""


def make_loss(
    denoise: Denoise,
    process: Process,
    objective: Objective,
    seed: int,
    *,
    shift: float,
    global_batch: int,
    prior_weight: float | None = None,
) -> Loss:
    """Return (1) as a function of parameters, step and batch, or a piece of one of `global_batch` rows.

    With `prior_weight` it is (3), for batches whose halves are as `mdctl.data.halved_order` has them. The null
    conditioning, of one sample or of each, stands in for a dropped caption; what that does not name stays.
    """
    density = make_density(objective)
    weight = make_weighting(process, objective, density, shift)
    errors = make_errors(denoise, process)
    num_strata = global_batch if prior_weight is None else global_batch // 2

    def loss(
        params: Params,
        step: Int32[Array, ""],
        batch: GlobalBatch,
        null_conditioning: Conditioning,
        frozen: Params = None,
    ) -> Float32[Array, ""]:
        latents, rows = batch["latents"], batch["rows"]
        keys_B = row_keys(stream_key(Stream.TRAINING, seed, step), rows)
        time_keys, noise_keys, dropout_keys, offset_keys = split_each(keys_B, 4)
        if objective.stratified:
            offset = jax.random.uniform(stream_key(Stream.TIMES, seed, step), (), jnp.float32)
            q_B = stratified(rows, num_strata, offset)
        else:
            q_B = jax.vmap(lambda key: jax.random.uniform(key, (), jnp.float32))(time_keys)
        time_B = density.times(q_B, shift)
        noise = row_noise(noise_keys, LatentShape(*latents.shape[1:]))
        if objective.noise_offset:
            noise = noise + objective.noise_offset * row_noise(offset_keys, LatentShape(1, 1, 1, latents.shape[-1]))
        dropped_B = jax.vmap(lambda key: jax.random.bernoulli(key, objective.caption_dropout))(dropout_keys)
        conditioning = drop(dropped_B, batch["conditioning"], null_conditioning)
        network = together(params, frozen)
        losses_B = weight(time_B) * errors(network, latents, noise, time_B, conditioning)
        if prior_weight is not None:
            losses_B = losses_B * jnp.where(is_prior(rows, global_batch), 2 * prior_weight, 2.0)
        return jnp.mean(losses_B)

    return loss


def make_density(objective: Objective) -> Density:
    """Return the density of times, before the shift."""
    density = DENSITIES[objective.time_density]
    bias = objective.time_bias
    if bias is None:
        return density
    return replace(density, quantile=biased(bias.begin, bias.end, bias.multiplier))


def make_weighting(process: Process, objective: Objective, density: Density, shift: float) -> Weighting:
    """Return how much the loss at each time weighs."""
    match objective.weighting:
        case "none":
            return flat
        case "bell":
            return bell(density, shift)
        case "min-snr":
            return min_snr(process, objective.min_snr_gamma)


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
    """Put the null conditioning where `dropped_B` says so; what it does not name stays."""

    def choose(given: Array, null: Array) -> Array:
        return jnp.where(jnp.expand_dims(dropped_B, tuple(range(1, given.ndim))), null, given)

    of_captions = {name: conditioning[name] for name in null_conditioning}
    return {**conditioning, **jax.tree.map(choose, of_captions, spread(null_conditioning, of_captions))}
