"""The sampling loop: noise to latents, as one scan that can be jitted and sharded.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import guided
from mdctl.diffusion.samplers.sampler import Carry, Sampler


def sample(
    denoise: Denoise,
    params: Params,
    sampler: Sampler,
    noise_BTHWC: Float32[Array, "B T H W C"],
    conditioning: Conditioning,
    null_conditioning: Conditioning,
    guidance: float,
) -> Float32[Array, "B T H W C"]:
    """Return a latent for each row of noise and conditioning.

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
