import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import Guidance
from mdctl.diffusion.randomness import host_noise
from mdctl.diffusion.samplers.registry import flow_sampler
from mdctl.inference.program import Draw, make_sampling_program
from mdctl.inference.sample import Start
from mdctl.parallel.mesh import make_mesh
from mdctl.spec.shapes import LatentShape
from tests.parallel.layouts import make_layout

SHAPE = LatentShape(frames=2, height=2, width=3, channels=4)
NUM_SAMPLES = 5
DRAWS = [Draw(seed=7, number=number) for number in range(NUM_SAMPLES)]
GIVEN = {"text": np.arange(NUM_SAMPLES, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)}
NEGATIVE = {"text": np.full(4, -1, np.float32)}
MESHES = [{}, {"data": 2}, {"data": 2, "fsdp": 2, "context": 2}, {"fsdp": 8}]


def still(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    """Move nothing: the samples are the noise."""
    return jnp.zeros_like(x)


def as_it_is(params: Params, conditioning: Conditioning) -> Conditioning:
    return conditioning


def towards_text(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    """Return the velocity where all data of a caption is its embedding."""
    text: Array = conditioning["text"]
    return (x - text[:, None, None, None, :]) / (time / 1000)[:, None, None, None, None]


def run(denoise: Denoise, axes: dict[str, int], guidance: float) -> dict[int, np.ndarray]:
    """Return the samples by position, each of which must come once."""
    devices = jax.devices()[: int(np.prod(list(axes.values()), dtype=int))]
    layout = make_layout(axes)
    mesh = make_mesh(layout, devices)
    sampler = flow_sampler("euler", 3, 1.0)
    program = make_sampling_program(
        as_it_is, denoise, sampler, Guidance(guidance), SHAPE, mesh, batch=layout.batch_shards
    )
    samples = [sample for batch in program({}, GIVEN, NEGATIVE, DRAWS) for sample in batch]
    assert sorted(sample.position for sample in samples) == list(range(NUM_SAMPLES))
    return {sample.position: sample.latents for sample in samples}


@pytest.mark.parametrize("axes", MESHES)
def test_the_noise_of_a_draw_is_the_same_bits_on_any_mesh(axes: dict[str, int]) -> None:
    for position, latents in run(still, axes, 1.0).items():
        np.testing.assert_array_equal(latents, host_noise(DRAWS[position], SHAPE))


@pytest.mark.parametrize("axes", MESHES)
def test_each_sample_is_of_its_own_prompt(axes: dict[str, int]) -> None:
    for position, latents in run(towards_text, axes, 2.0).items():
        np.testing.assert_allclose(latents, 2.0 * position - (-1.0), atol=1e-4)


def test_what_the_network_makes_of_conditioning_is_made_once_before_the_loop() -> None:
    def encoded(params: Params, conditioning: Conditioning) -> Conditioning:
        return {"text": conditioning["text"] @ params["table"]}

    layout = make_layout({})
    mesh = make_mesh(layout, jax.devices()[:1])
    sampler = flow_sampler("euler", 3, 1.0)
    program = make_sampling_program(encoded, towards_text, sampler, Guidance(2.0), SHAPE, mesh, batch=1)
    params = {"table": 3 * jnp.eye(4)}
    for [sample] in program(params, GIVEN, NEGATIVE, DRAWS):
        np.testing.assert_allclose(sample.latents, 3 * (2.0 * sample.position - (-1.0)), atol=1e-3)

    first = {"text": jnp.asarray(GIVEN["text"][:1])}
    start = Start(jnp.zeros((1, *SHAPE)))
    traced = jax.make_jaxpr(program.run)(params, first, NEGATIVE, start, jnp.zeros((1, 2), jnp.uint32))
    [loop] = [each for each in traced.eqns[0].params["jaxpr"].eqns if each.primitive.name == "scan"]
    assert params["table"].shape not in {given.aval.shape for given in loop.invars}
