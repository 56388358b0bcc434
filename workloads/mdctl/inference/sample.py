"""The sampling loop: noise to latents, as one scan that can be jitted and sharded.

Letters: B batch, T frames, H height, W width, C channels, all of latents.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int, Key

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import Guidance, guided
from mdctl.diffusion.randomness import row_noise
from mdctl.diffusion.samplers.sampler import Carry, Sampler
from mdctl.spec.shapes import LatentShape


class Kept(NamedTuple):
    """Latents of a picture, and where they are kept: 0; what is 1 in the mask is made anew.

    They are put back after every step, with the noise of that step, and at the end as they were.
    """

    latents: Float32[Array, "B T H W C"]
    mask: Float32[Array, "B T H W 1"]


class Start(NamedTuple):
    """What a loop begins with: noise alone, or `data` with so much of it as the sampler's first level has."""

    noise: Float32[Array, "B T H W C"]
    data: Float32[Array, "B T H W C"] | None = None
    kept: Kept | None = None


def sample(
    denoise: Denoise,
    params: Params,
    sampler: Sampler,
    start: Start,
    conditioning: Conditioning,
    null_conditioning: Conditioning,
    guidance: Guidance,
    keys_B: Key[Array, " B"] | None = None,
) -> Float32[Array, "B T H W C"]:
    """Return a latent for each row of noise and conditioning.

    `null_conditioning` (of the negative prompt) is that of one sample, without a batch dim, or of each; guidance 1
    does not read it. `keys_B` are for a sampler that draws noise at each step.
    """
    network = guided(denoise, null_conditioning, guidance)
    batch, *shape = start.noise.shape

    def fresh(i: Int[Array, ""]) -> Float32[Array, "B T H W C"] | None:
        if not sampler.draws:
            return None
        assert keys_B is not None
        return row_noise(jax.vmap(lambda key: jax.random.fold_in(key, i))(keys_B), LatentShape(*shape))

    def evaluate(carry: Carry, at: tuple[Int[Array, ""], Float32[Array, ""]]) -> tuple[Carry, None]:
        i, time = at
        prediction = network(params, sampler.latents(carry), jnp.full((batch,), time), conditioning)
        x, *memory = sampler.step(carry, prediction, i, fresh(i))
        return (put_back(sampler, start, x, i + 1), *memory), None

    times = jnp.asarray(sampler.times)
    carry, _ = jax.lax.scan(evaluate, sampler.start(start.noise, start.data), (jnp.arange(len(times)), times))
    return sampler.latents(carry)


def put_back(
    sampler: Sampler, start: Start, x: Float32[Array, "B T H W C"], i: Int[Array, ""]
) -> Float32[Array, "B T H W C"]:
    """Return the latents before evaluation `i` with what is kept put back."""
    if start.kept is None:
        return x
    latents, mask = start.kept
    is_last = i == len(sampler.times)
    return mask * x + (1 - mask) * jnp.where(is_last, latents, sampler.noisy(latents, start.noise, i))
