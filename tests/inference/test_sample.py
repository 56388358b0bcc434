from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params
from mdctl.diffusion.guidance import Guidance, guided
from mdctl.diffusion.randomness import Stream, row_keys, stream_key
from mdctl.diffusion.samplers.registry import FLOW_SAMPLERS, flow_sampler, variance_preserving_sampler
from mdctl.diffusion.samplers.schedule import Stepping
from mdctl.diffusion.variance_preserving import VariancePreserving
from mdctl.inference.sample import Kept, Start, sample

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
    denoise = guided(network, NULL, Guidance(guidance))

    carry = sampler.start(NOISE)
    for i, time in enumerate(np.asarray(sampler.times)):
        prediction = denoise(PARAMS, sampler.latents(carry), jnp.full((8,), time), GIVEN)
        carry = sampler.step(carry, prediction, i)

    scanned = jax.jit(partial(sample, network, guidance=Guidance(guidance)))
    latents = scanned(PARAMS, sampler, Start(NOISE), GIVEN, NULL)
    np.testing.assert_allclose(latents, sampler.latents(carry), atol=2e-5)


@pytest.mark.parametrize(("name", "tolerance"), [("euler", 1e-4), ("unipc", 2e-2)])
def test_each_sample_ends_at_its_own_data(name: str, tolerance: float) -> None:
    latents = sample(towards_text, {}, flow_sampler(name, 20, 1.0), Start(NOISE), GIVEN, NULL, Guidance(1.0))
    expected = GIVEN["text"].mean(1)[:, None, None, None, :]
    np.testing.assert_allclose(latents, jnp.broadcast_to(expected, NOISE.shape), atol=tolerance)


def test_fresh_noise_belongs_to_the_sample_and_the_step() -> None:
    """And not to its place in a batch: half the batch gives half of what the whole gives."""
    process = VariancePreserving()
    sampler = variance_preserving_sampler("ddpm", process, 5, Stepping())
    keys = row_keys(stream_key(Stream.SAMPLING, 0), jnp.arange(8, dtype=jnp.uint32))

    def run(rows: slice) -> Array:
        given = jax.tree.map(lambda x: x[rows], GIVEN)
        made: Array = sample(network, PARAMS, sampler, Start(NOISE[rows]), given, NULL, Guidance(1.0), keys[rows])
        return made

    whole = run(slice(8))
    np.testing.assert_allclose(run(slice(4, 8)), whole[4:], atol=1e-5)
    assert float(jnp.abs(whole[0] - run(slice(1, 2))[0]).max()) > 0.1


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_a_sharded_batch_samples_alike(name: str) -> None:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    arguments = (PARAMS, flow_sampler(name, 5, 3.0), Start(NOISE), GIVEN, NULL)
    run = partial(sample, network, guidance=Guidance(3.0))
    sharded = jax.jit(run, in_shardings=(whole, whole, rows, rows, whole), out_shardings=rows)
    np.testing.assert_allclose(sharded(*arguments), jax.jit(run)(*arguments), atol=1e-5)


def test_a_loop_from_a_picture_begins_with_its_level_of_noise() -> None:
    process, data = VariancePreserving(), NOISE[::-1]
    whole = variance_preserving_sampler("ddim", process, 10, Stepping())
    half = variance_preserving_sampler("ddim", process, 10, Stepping(), 0.5)
    np.testing.assert_array_equal(half.times, whole.times[5:])
    alpha, sigma = process.betas.levels[int(half.times[0])]
    (x,) = half.start(NOISE, data)
    np.testing.assert_allclose(x, alpha * data + sigma * NOISE, atol=1e-6)


@pytest.mark.parametrize("name", ["ddim", "pndm", "lms", "euler", "dpm++2m", "unipc"])
def test_a_sampler_that_begins_later_knows_nothing_of_what_it_left_out(name: str) -> None:
    """The network that knows the data leads back to it from anywhere, at any order."""
    process, data = VariancePreserving(), NOISE[::-1]
    sampler = variance_preserving_sampler(name, process, 12, Stepping(ends_in_data=True), 0.6)

    def knowing(params: Params, x: Array, time: Array, conditioning: Conditioning) -> Float32[Array, "B T H W C"]:
        alpha, sigma = process.level((time + 0.5) / 1000)
        noise: Array = (x - alpha[:, None, None, None, None] * data) / sigma[:, None, None, None, None]
        return noise

    latents = sample(knowing, {}, sampler, Start(NOISE, data), GIVEN, NULL, Guidance(1.0))
    np.testing.assert_allclose(latents, data, atol=3e-2 if name == "pndm" else 2e-3)


@pytest.mark.parametrize("name", ["ddim", "pndm", "unipc", "euler-ancestral"])
def test_what_a_mask_keeps_is_there_at_the_end_and_the_rest_is_made(name: str) -> None:
    process, data = VariancePreserving(), NOISE[::-1]
    sampler = variance_preserving_sampler(name, process, 6, Stepping(ends_in_data=True))
    mask = jnp.zeros((8, 2, 2, 3, 1)).at[:, :, 1].set(1.0)
    keys = row_keys(stream_key(Stream.SAMPLING, 0), jnp.arange(8, dtype=jnp.uint32))
    latents = sample(network, PARAMS, sampler, Start(NOISE, kept=Kept(data, mask)), GIVEN, NULL, Guidance(3.0), keys)
    np.testing.assert_allclose(latents[:, :, 0], data[:, :, 0], atol=1e-6)
    assert float(jnp.abs(latents - data)[:, :, 1].min()) > 0
