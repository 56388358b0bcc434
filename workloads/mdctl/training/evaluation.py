"""The held-out loss by time bucket: the same rows at the same times with the same noise, whenever it is measured.

Bucket k of K covers times [k / K, (k + 1) / K]. Each row is denoised once in each bucket, at a time and with noise that
are functions of (seed, row, bucket).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32

from mdctl.diffusion.denoise import Denoise, Params
from mdctl.diffusion.process import Process
from mdctl.diffusion.randomness import Stream, row_keys, row_noise, stream_key
from mdctl.spec.shapes import LatentShape
from mdctl.training.objective import GlobalBatch, make_errors, split_each

HeldOutLoss = Callable[[Params, GlobalBatch], Float32[Array, "B K"]]
"""(params, batch) -> unweighted loss of each row in each bucket; its mean over rows is what is reported."""


def make_held_out_loss(denoise: Denoise, process: Process, num_buckets: int, seed: int) -> HeldOutLoss:
    """Return the held-out loss as a pure function; no caption is dropped."""
    errors = make_errors(denoise, process)

    def held_out_loss(params: Params, batch: GlobalBatch) -> Float32[Array, "B K"]:
        latents = batch["latents"]

        def in_bucket(k: Int32[Array, ""]) -> Float32[Array, " B"]:
            time_keys, noise_keys = split_each(row_keys(stream_key(Stream.HELD_OUT, seed, k), batch["rows"]), 2)
            within = jax.vmap(lambda key: jax.random.uniform(key, (), jnp.float32))(time_keys)
            time_B = (k.astype(jnp.float32) + within) / num_buckets
            noise = row_noise(noise_keys, LatentShape(*latents.shape[1:]))
            return errors(params, latents, noise, time_B, batch["conditioning"])

        losses_KB: Float32[Array, "K B"] = jax.lax.map(in_bucket, jnp.arange(num_buckets, dtype=jnp.int32))
        return losses_KB.T

    return held_out_loss
