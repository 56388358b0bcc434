"""What is computed in float32 is computed in float32 on any device: every product of float32 says so."""

import jax
import jax.numpy as jnp
import pytest

from mdctl.diffusion.flow_matching import FlowMatching
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.family import make_denoiser
from mdctl.parallel.attention.blockwise import blockwise_attention
from mdctl.parallel.execution import Execution
from mdctl.parallel.precision import full_precision
from mdctl.spec.training import Objective
from mdctl.training.objective import make_loss

HIGHEST = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


def products(jaxpr):
    """Yield every product in a jaxpr and in those that it calls."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=is_jaxpr):
            if is_jaxpr(inner):
                yield from products(getattr(inner, "jaxpr", inner))


def is_jaxpr(value):
    return hasattr(value, "eqns")


def imprecise(function, *args):
    """Return how many products of float32 there are, and those of them that a device may round."""
    found = [
        each for each in products(jax.make_jaxpr(function)(*args).jaxpr) if each.invars[0].aval.dtype == jnp.float32
    ]
    return len(found), [each for each in found if each.params["precision"] != HIGHEST]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_training_step_rounds_no_product_of_float32(dtype):
    denoiser = make_denoiser(WanConfig.tiny(), Execution(dtype=dtype, attention=blockwise_attention))
    loss = make_loss(denoiser.denoise, FlowMatching(), Objective(), seed=0, shift=5.0, global_batch=8)
    params = denoiser.abstract
    text = jax.ShapeDtypeStruct((2, 8, WanConfig.tiny().text_dim), jnp.float32)
    batch = {
        "latents": jax.ShapeDtypeStruct((2, 2, 4, 4, WanConfig.tiny().in_channels), jnp.float32),
        "conditioning": {"text": text},
        "rows": jax.ShapeDtypeStruct((2,), jnp.uint32),
    }
    null = {"text": jax.ShapeDtypeStruct(text.shape[1:], jnp.float32)}
    count, rounded = imprecise(jax.grad(loss), params, jax.ShapeDtypeStruct((), jnp.int32), batch, null)
    assert count > 5
    assert rounded == []


def test_without_it_they_may_be_rounded():
    x = jnp.ones((2, 2))
    assert len(imprecise(jnp.matmul, x, x)[1]) == 1
    assert imprecise(full_precision(jnp.matmul), x, x) == (1, [])
