"""The sampling loop: noise to latents, as one scan that can be jitted and sharded.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float32, Int, UInt32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import guided
from mdctl.diffusion.randomness import Stream, row_keys, row_noise, stream_key
from mdctl.diffusion.samplers.sampler import Carry, Sampler
from mdctl.spec.shapes import LatentShape


def initial_noise(seed: ArrayLike, rows: UInt32[Array, " B"], shape: LatentShape) -> Float32[Array, "B T H W C"]:
    """Draw the noise of each row (the index of a sample): the same bits in whatever batch or layout it is drawn."""
    return row_noise(row_keys(stream_key(Stream.SAMPLING, seed), rows), shape)


def sample(
    denoise: Denoise,
    params: Params,
    sampler: Sampler,
    noise_BTHWC: Float32[Array, "B T H W C"],
    conditioning: Conditioning,
    null_conditioning: Conditioning,
    guidance: float,
) -> Float32[Array, "B T H W C"]:
    """Return latents for each row of the conditioning.

    `null_conditioning` (of the negative prompt) is that of one sample, without a batch dim, or of each; guidance 1
    does not read it.
    """
    network = guided(denoise, null_conditioning, guidance)
    batch = noise_BTHWC.shape[0]

    def evaluate(carry: Carry, at: tuple[Int[Array, ""], Float32[Array, ""]]) -> tuple[Carry, None]:
        i, time = at
        prediction = network(params, sampler.latents(carry), jnp.full((batch,), time), conditioning)
        return sampler.step(carry, prediction, i), None

    times = jnp.asarray(sampler.times)
    carry, _ = jax.lax.scan(evaluate, sampler.start(noise_BTHWC), (jnp.arange(len(times)), times))
    return sampler.latents(carry)
