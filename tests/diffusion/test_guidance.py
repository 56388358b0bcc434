import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Denoise, Params
from mdctl.diffusion.guidance import Guidance, guided

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(8, 2, 3, 4, 5)), jnp.float32)
TIME = jnp.linspace(0, 1000, 8, dtype=jnp.float32)
GIVEN = {"text": jnp.asarray(RNG.normal(size=(8, 3, 5)), jnp.float32), "size": jnp.arange(8, dtype=jnp.int32)}
NULL = {"text": jnp.asarray(RNG.normal(size=(3, 5)), jnp.float32), "size": jnp.int32(9)}
EVERY_NULL = jax.tree.map(lambda null, given: jnp.broadcast_to(null, given.shape), NULL, GIVEN)


def network(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    text = conditioning["text"].mean(1) + conditioning["size"].astype(jnp.float32)[:, None]
    scale: Array = params["scale"]
    return scale * jnp.tanh(x + text[:, None, None, None, :] + time[:, None, None, None, None] / 1000)


PARAMS = {"scale": jnp.float32(1.5)}


class Recorded:
    """A network that remembers the size of every batch it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(
        self, params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
    ) -> Float32[Array, "B T H W C"]:
        assert {leaf.shape[0] for leaf in jax.tree.leaves(conditioning)} == {len(x)}
        self.batches.append(len(x))
        return network(params, x, time, conditioning)


def run(scale: float, null: Conditioning = NULL) -> tuple[Array, list[int]]:
    recorded = Recorded()
    return guided(recorded, null, Guidance(scale))(PARAMS, X, TIME, GIVEN), recorded.batches


def test_one_is_the_conditional_model_in_one_evaluation() -> None:
    prediction, batches = run(1.0)
    np.testing.assert_array_equal(prediction, network(PARAMS, X, TIME, GIVEN))
    assert batches == [8]


def test_zero_is_the_unconditional_model_in_one_evaluation() -> None:
    prediction, batches = run(0.0)
    np.testing.assert_array_equal(prediction, network(PARAMS, X, TIME, EVERY_NULL))
    assert batches == [8]


@pytest.mark.parametrize("scale", [0.5, 2.0, 7.5])
@pytest.mark.parametrize("null", [NULL, EVERY_NULL], ids=["of one sample", "of each"])
def test_other_scales_extrapolate_from_one_evaluation_of_both(scale: float, null: Conditioning) -> None:
    conditional, unconditional = network(PARAMS, X, TIME, GIVEN), network(PARAMS, X, TIME, EVERY_NULL)
    prediction, batches = run(scale, null)
    np.testing.assert_allclose(prediction, scale * conditional + (1 - scale) * unconditional, atol=1e-5)
    assert batches == [16]


def test_a_sharded_batch_doubles_in_place() -> None:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    whole = NamedSharding(mesh, PartitionSpec())
    denoise: Denoise = guided(network, NULL, Guidance(3.0))
    sharded = jax.jit(denoise, in_shardings=(whole, rows, rows, rows), out_shardings=rows)
    np.testing.assert_allclose(sharded(PARAMS, X, TIME, GIVEN), denoise(PARAMS, X, TIME, GIVEN), atol=1e-6)
    program = sharded.lower(PARAMS, X, TIME, GIVEN).compile().as_text()
    assert program is not None
    assert not any(word in program for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"))


def test_rescaling_gives_each_sample_the_deviation_of_the_conditional_prediction() -> None:
    conditional = np.asarray(network(PARAMS, X, TIME, GIVEN))
    plain, half, whole = (
        np.asarray(guided(network, NULL, Guidance(3.0, rescale))(PARAMS, X, TIME, GIVEN)) for rescale in (0.0, 0.5, 1.0)
    )
    deviation = [x.std((1, 2, 3, 4)) for x in (plain, whole, conditional)]
    assert (np.abs(deviation[0] / deviation[2] - 1) > 0.01).any()
    np.testing.assert_allclose(deviation[1], deviation[2], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(half, (plain + whole) / 2, atol=1e-6)


def test_a_prediction_that_is_the_same_everywhere_is_left_as_it_is() -> None:
    def flat(params: Params, x: Array, time: Array, conditioning: Conditioning) -> Float32[Array, "B T H W C"]:
        return jnp.zeros_like(x)

    assert not np.asarray(guided(flat, NULL, Guidance(3.0, 0.7))(PARAMS, X, TIME, GIVEN)).any()
