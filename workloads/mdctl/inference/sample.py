"""The sampling loop: noise to latents, as one scan that can be jitted and sharded.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int, Key

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import guided
from mdctl.diffusion.randomness import row_noise
from mdctl.diffusion.samplers.sampler import Carry, Sampler
from mdctl.spec.shapes import LatentShape


def sample(
    denoise: Denoise,
    params: Params,
    sampler: Sampler,
    noise_BTHWC: Float32[Array, "B T H W C"],
    conditioning: Conditioning,
    null_conditioning: Conditioning,
    guidance: float,
    keys_B: Key[Array, " B"] | None = None,
) -> Float32[Array, "B T H W C"]:
    """Return a latent for each row of noise and conditioning.

    `null_conditioning` (of the negative prompt) is that of one sample, without a batch dim, or of each; guidance 1
    does not read it. `keys_B` are for a sampler that draws noise at each step.
    """
    network = guided(denoise, null_conditioning, guidance)
    batch, *shape = noise_BTHWC.shape

    def fresh(i: Int[Array, ""]) -> Float32[Array, "B T H W C"] | None:
        if not sampler.draws:
            return None
        assert keys_B is not None
        return row_noise(jax.vmap(lambda key: jax.random.fold_in(key, i))(keys_B), LatentShape(*shape))

    def evaluate(carry: Carry, at: tuple[Int[Array, ""], Float32[Array, ""]]) -> tuple[Carry, None]:
        i, time = at
        prediction = network(params, sampler.latents(carry), jnp.full((batch,), time), conditioning)
        return sampler.step(carry, prediction, i, fresh(i)), None

    times = jnp.asarray(sampler.times)
    carry, _ = jax.lax.scan(evaluate, sampler.start(noise_BTHWC), (jnp.arange(len(times)), times))
    return sampler.latents(carry)
