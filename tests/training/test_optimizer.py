from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdctl.spec.training import Optimizer
from mdctl.training.optimizer import AdamW
from tests.training import toy

GRADS = {
    "kernel": jnp.asarray(np.random.default_rng(5).normal(size=(toy.CHANNELS, toy.CHANNELS)), jnp.float32),
    "bias": jnp.asarray([3.0, -4.0, 0.0, 0.0], jnp.float32),
}


def adamw(**fields: Any) -> AdamW:
    return AdamW(Optimizer(**fields), lambda step: jnp.float32(0.1), toy.decay_mask)


def one_step(optimizer: AdamW) -> tuple[Any, Any]:
    params = toy.params()
    return optimizer.update(jnp.int32(0), GRADS, optimizer.init(params), params), params


def test_the_first_step_goes_along_signs_and_decays_matrices_only() -> None:
    updated, params = one_step(adamw(eps=1e-12, weight_decay=0.5, clip_norm=None))
    kernel = params["kernel"] * (1 - 0.1 * 0.5) - 0.1 * jnp.sign(GRADS["kernel"])
    np.testing.assert_allclose(updated.params["kernel"], kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(updated.params["bias"], params["bias"] - 0.1 * jnp.sign(GRADS["bias"]), rtol=1e-5)


def test_the_norm_is_that_before_the_clip() -> None:
    expected = np.sqrt(sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(GRADS)))
    for clip_norm in (None, 1.0, 1000.0):
        assert one_step(adamw(clip_norm=clip_norm))[0].grad_norm == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("clip_norm", "factor"), [(None, 1.0), (1000.0, 1.0), (0.5, None)])
def test_gradients_past_the_bound_are_scaled_to_it(clip_norm: float | None, factor: float | None) -> None:
    updated, _ = one_step(adamw(clip_norm=clip_norm, b1=0.9))
    scale = 0.5 / float(updated.grad_norm) if factor is None else factor
    moments = updated.state[1].mu
    np.testing.assert_allclose(moments["bias"], 0.1 * scale * GRADS["bias"], rtol=1e-5)


def test_master_weights_are_float32() -> None:
    with pytest.raises(AssertionError, match="float32"):
        adamw().init(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), toy.params()))
