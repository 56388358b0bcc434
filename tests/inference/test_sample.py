from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.diffusion.guidance import guided
from mdctl.diffusion.randomness import Stream, row_keys, stream_key
from mdctl.diffusion.samplers.registry import FLOW_SAMPLERS, Stepping, flow_sampler, variance_preserving_sampler
from mdctl.diffusion.variance_preserving import VariancePreserving
from mdctl.inference.sample import sample

RNG = np.random.default_rng(0)
NOISE = jnp.asarray(RNG.normal(size=(8, 2, 2, 3, 4)), jnp.float32)
GIVEN = {"text": jnp.asarray(RNG.normal(size=(8, 3, 4)), jnp.float32)}
NULL = {"text": jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)}
PARAMS = jnp.float32(0.5)


def network(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    text: Array = conditioning["text"].mean(1)
    return jnp.tanh(params * x + text[:, None, None, None, :] * (time / 1000)[:, None, None, None, None])


def towards_text(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    """Return the velocity where all data of a caption is its mean embedding."""
    text: Array = conditioning["text"].mean(1)
    return (x - text[:, None, None, None, :]) / (time / 1000)[:, None, None, None, None]


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
@pytest.mark.parametrize("guidance", [0.0, 1.0, 4.0])
def test_the_scan_is_the_loop(name: str, guidance: float) -> None:
    sampler = flow_sampler(name, 6, 3.0)
    denoise = guided(network, NULL, guidance)

    carry = sampler.start(NOISE)
    for i, time in enumerate(np.asarray(sampler.times)):
        prediction = denoise(PARAMS, sampler.latents(carry), jnp.full((8,), time), GIVEN)
        carry = sampler.step(carry, prediction, i)

    scanned = jax.jit(partial(sample, network, guidance=guidance))
    latents = scanned(PARAMS, sampler, NOISE, GIVEN, NULL)
    np.testing.assert_allclose(latents, sampler.latents(carry), atol=2e-5)


@pytest.mark.parametrize(("name", "tolerance"), [("euler", 1e-4), ("unipc", 2e-2)])
def test_each_sample_ends_at_its_own_data(name: str, tolerance: float) -> None:
    latents = sample(towards_text, {}, flow_sampler(name, 20, 1.0), NOISE, GIVEN, NULL, 1.0)
    expected = GIVEN["text"].mean(1)[:, None, None, None, :]
    np.testing.assert_allclose(latents, jnp.broadcast_to(expected, NOISE.shape), atol=tolerance)


def test_fresh_noise_belongs_to_the_sample_and_the_step() -> None:
    """And not to its place in a batch: half the batch gives half of what the whole gives."""
    process = VariancePreserving()
    sampler = variance_preserving_sampler("ddpm", process, 5, Stepping())
    keys = row_keys(stream_key(Stream.SAMPLING, 0), jnp.arange(8, dtype=jnp.uint32))

    def run(rows: slice) -> Array:
        given = jax.tree.map(lambda x: x[rows], GIVEN)
        return sample(network, PARAMS, sampler, NOISE[rows], given, NULL, 1.0, keys[rows])

    whole = run(slice(8))
    np.testing.assert_allclose(run(slice(4, 8)), whole[4:], atol=1e-5)
    assert float(jnp.abs(whole[0] - run(slice(1, 2))[0]).max()) > 0.1


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_a_sharded_batch_samples_alike(name: str) -> None:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    arguments = (PARAMS, flow_sampler(name, 5, 3.0), NOISE, GIVEN, NULL)
    run = partial(sample, network, guidance=3.0)
    sharded = jax.jit(run, in_shardings=(whole, whole, rows, rows, whole), out_shardings=rows)
    np.testing.assert_allclose(sharded(*arguments), jax.jit(run)(*arguments), atol=1e-5)
