"""AdamW (Loshchilov and Hutter 2019) on float32 parameters, through optax.

Weight decay is decoupled and scaled by the learning rate, as in torch. optax mixes integer counts with Python floats,
which strict dtype promotion refuses: this is the one module that lifts it, around the calls into optax.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float32, Int32, PyTree

from mdctl.diffusion.denoise import Params
from mdctl.spec.training import Optimizer
from mdctl.training.learning_rate import LearningRate

DecayMask = Callable[[Params], PyTree[bool]]
"""Parameters -> whether each leaf decays: matrices do; biases, gains and modulation tables do not."""

OptimizerState = Any


class Updated(NamedTuple):
    """What an update gives; `grad_norm` is taken before the gradient is clipped."""

    params: Params
    state: OptimizerState
    grad_norm: Float32[Array, ""]
    learning_rate: Float32[Array, ""]


@dataclass(frozen=True)
class AdamW:
    """Clip the gradient's global norm, then AdamW at the learning rate of the step."""

    spec: Optimizer
    learning_rate: LearningRate
    decay_mask: DecayMask
    rates: Callable[[Params], PyTree[float]] | None = None
    """Parameters -> how many times the learning rate each leaf has; None is once."""

    def init(self, params: Params) -> OptimizerState:
        """Return zero moments for float32 parameters."""
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params)), "master weights are float32"
        with jax.numpy_dtype_promotion("standard"):
            return self._direction.init(params)

    def update(self, step: Int32[Array, ""], grads: Params, state: OptimizerState, params: Params) -> Updated:
        """Return parameters and moments after one step."""
        rate = self.learning_rate(step)
        with jax.numpy_dtype_promotion("standard"):
            directions, state = self._direction.update(grads, state, params)
            grad_norm = optax.tree.norm(grads)
        rates = jax.tree.map(lambda _: 1.0, params) if self.rates is None else self.rates(params)
        params = jax.tree.map(lambda param, way, times: param - rate * times * way, params, directions, rates)
        return Updated(params=params, state=state, grad_norm=grad_norm, learning_rate=rate)

    @property
    def _direction(self) -> optax.GradientTransformation:
        spec = self.spec
        clip = optax.identity() if spec.clip_norm is None else optax.clip_by_global_norm(spec.clip_norm)
        return optax.chain(
            clip,
            optax.scale_by_adam(b1=spec.b1, b2=spec.b2, eps=spec.eps),
            optax.add_decayed_weights(spec.weight_decay, mask=self.decay_mask),
        )
