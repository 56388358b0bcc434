import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from mdctl.diffusion.denoise import Conditioning, Params, with_weights_in

X = jnp.ones((1, 1, 1, 1, 2), jnp.float32)


def network(
    params: Params, x: Float32[Array, "B T H W C"], time: Float32[Array, " B"], conditioning: Conditioning
) -> Float32[Array, "B T H W C"]:
    del time, conditioning
    weight: Array = params
    assert weight.dtype == jnp.bfloat16
    return x * weight.astype(jnp.float32)


def test_the_network_reads_rounded_weights_and_the_gradient_stays_in_float32() -> None:
    weights = jnp.float32(1 + 1 / 1024)

    def total(weights: Array) -> Array:
        return with_weights_in(jnp.bfloat16, network)(weights, X, jnp.zeros(1), {}).sum()

    value, gradient = jax.value_and_grad(total)(weights)
    np.testing.assert_array_equal(value, 2)
    assert gradient.dtype == jnp.float32
    np.testing.assert_array_equal(gradient, 2)
